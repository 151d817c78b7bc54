using Transformer.Checkpoints;
using Transformer.Data;
using Transformer.Evaluation;
using Transformer.Formats;
using Transformer.Model;
using Transformer.Runs;
using Transformer.Training;

namespace Transformer.Reproductions;

/// <summary>A training run: a recipe with overrides.</summary>
/// <param name="Name">Its name within the reproduction, and its folder's.</param>
/// <param name="Recipe">One of <see cref="ConfigLibrary.Recipes"/>.</param>
/// <param name="Overrides">As for <see cref="ConfigFile.Parse"/>.</param>
public sealed record TrainedArm(string Name, string Recipe, params IReadOnlyList<string> Overrides) : Arm(Name)
{
    /// <summary>The names of the measures; those of <see cref="MeasuredAlso"/> begin with its name and a dot.</summary>
    public const string LossName = "validation_loss", AccuracyName = "validation_accuracy", TrainLossName = "train_loss",
        StepsName = "steps", SecondsName = "seconds";

    /// <summary>The mean span of learned windows at the tokens that are asked for an answer, and at a task's blanks.</summary>
    public const string AskedSpanName = "span_asked", BlankSpanName = "span_blank";

    /// <summary>
    /// Of the validation text read as one stream: its loss, that of the first tokens of each segment with half its 95 % interval, and the
    /// same with all that is remembered set to zero.
    /// </summary>
    public const string StreamName = "stream_loss", BeginningsName = "stream_beginnings", IntervalName = "stream_interval",
        ZeroedName = "stream_zeroed";

    /// <summary>How many tokens count as the first ones of a segment.</summary>
    internal const int Beginning = 32;

    private const string Blank = ".";
    private const int SpanRows = 64;

    // No samples, and evaluations only where an override asks for them. Checkpoints are for interruptions.
    private static readonly string[] Quiet =
        ["training.sample_tokens=0", "training.sample_every=null", "training.keep_checkpoints=1", "training.checkpoint_every=100"];

    /// <summary>
    /// Names of further evaluations after the last step, with what is then overridden: data that are longer or other than in training.
    /// </summary>
    public IReadOnlyDictionary<string, IReadOnlyList<string>> MeasuredAlso { get; init; } =
        new Dictionary<string, IReadOnlyList<string>>();

    /// <summary>Whether the spans of learned windows are measured as well.</summary>
    public bool MeasuresSpans { get; init; }

    /// <summary>How many tokens of the validation text are measured as one stream as well; none where null.</summary>
    public long? StreamTokens { get; init; }

    /// <summary>What is added to the reproduction's seed, for arms that are averaged.</summary>
    public int SeedOffset { get; init; }

    /// <summary>The whole configuration.</summary>
    /// <param name="seed">Of the parameters and the batches.</param>
    public RunConfig Config(int seed) => ConfigFile.Load(Recipe, All(seed));

    /// <summary>The names of all that it measures.</summary>
    internal IReadOnlyList<string> Measures =>
    [
        LossName, AccuracyName, TrainLossName, StepsName, SecondsName, .. MeasuresSpans ? [AskedSpanName, BlankSpanName] : (string[])[],
        .. StreamTokens is null ? (string[])[] : [StreamName, BeginningsName, IntervalName, ZeroedName],
        .. MeasuredAlso.Keys.SelectMany(name => (string[])[$"{name}.{LossName}", $"{name}.{AccuracyName}"]),
    ];

    /// <inheritdoc/>
    internal override string Definition(int seed) => string.Join(' ', [
        Recipe, .. Overrides, SeedOverride(seed), .. MeasuredAlso.Select(also => $"{also.Key}: {string.Join(' ', also.Value)}"),
        .. MeasuresSpans ? ["spans"] : (string[])[], .. StreamTokens is { } length ? [$"stream of {length}"] : (string[])[]]);

    /// <inheritdoc/>
    internal override IReadOnlyDictionary<string, double> Measure(
        string folder, int seed, Action<TrainingEvent> report, CancellationToken cancellation)
    {
        TrainingOutcome outcome;
        using (var trainer = RunFolder.IsFree(folder) ? Trainer.Start(Config(seed), folder, report) : Trainer.Resume(folder, report))
            outcome = trainer.Run(cancellation);
        var measures = new Dictionary<string, double>
        {
            [LossName] = outcome.ValidationLoss,
            [AccuracyName] = outcome.ValidationAccuracy,
            [TrainLossName] = outcome.TrainLoss ?? double.NaN,
            [StepsName] = outcome.Steps,
            [SecondsName] = outcome.Seconds,
        };
        foreach (var (name, overrides) in MeasuredAlso)
        {
            var result = Evaluate(folder, ConfigFile.Load(Recipe, [.. All(seed), .. overrides]), cancellation);
            (measures[$"{name}.{LossName}"], measures[$"{name}.{AccuracyName}"]) = (result.Loss, result.Accuracy);
        }
        if (StreamTokens is { } length)
            foreach (var (name, value) in Stream(folder, Config(seed), length, cancellation)) measures[name] = value;
        if (MeasuresSpans) (measures[AskedSpanName], measures[BlankSpanName]) = Spans(folder, Config(seed));
        return measures;
    }

    private string[] All(int seed) => [.. Quiet, .. Overrides, SeedOverride(seed)];

    private string SeedOverride(int seed) => $"training.seed={seed + SeedOffset}";

    private static EvaluationResult Evaluate(string folder, RunConfig config, CancellationToken cancellation)
    {
        using var data = Dataset.Open(config.Data);
        using var model = Load(folder, config, data);
        return ModelEvaluation.Measure(model, data.HeldOut(config.Model, config.Training.BatchSize), cancellation);
    }

    private static (double Asked, double Blank) Spans(string folder, RunConfig config)
    {
        using var data = Dataset.Open(config.Data);
        using var model = Load(folder, config, data);
        var (rows, blank) = (data.HeldOut(SpanRows, config.Model.ContextLength, batches: 1).First(), data.Tokenizer.Encode(Blank)[0]);
        return (At(place => rows.Targets[place] != Batch.IgnoredTarget), At(place => rows.Inputs[place] == blank));

        // over all heads of the blocks whose windows are learned
        double At(Func<int, bool> isChosen) => ModelEvaluation.MeanSpans(
            model, rows, [.. Enumerable.Range(0, rows.Inputs.Length).Where(isChosen)])!.SelectMany(heads => heads).Average();
    }

    private static Dictionary<string, double> Stream(string folder, RunConfig config, long length, CancellationToken cancellation)
    {
        using var data = (Corpus)Dataset.Open(config.Data);
        using var model = Load(folder, config, data);
        model.eval();
        var stream = StreamEvaluation.Measure(model, data.Validation, length, cancellation: cancellation);
        var (beginnings, interval) = stream.AtBeginnings(Beginning);
        var zeroed = model.Config.HasSegments
            ? StreamEvaluation.Measure(model, data.Validation, length, withoutMemory: true, cancellation).AtBeginnings(Beginning).Loss
            : beginnings;
        return new() { [StreamName] = stream.Loss, [BeginningsName] = beginnings, [IntervalName] = interval, [ZeroedName] = zeroed };
    }

    private static TransformerModel Load(string folder, RunConfig config, Dataset data)
    {
        var model = new TransformerModel(Trainer.Resolve(config, data).Model) { Precision = config.Training.Precision };
        using var checkpoint = CheckpointFolder.Open(folder);
        checkpoint.CopyInto(model.Weights);
        return model;
    }
}
