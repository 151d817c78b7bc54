using Transformer.Configuration;
using Transformer.Runs;
using Transformer.Training;

namespace Transformer.Comparison;

/// <summary>A run as a report shows it: its configuration, the numbers of its steps and what it wrote.</summary>
public sealed record ReportRun
{
    /// <summary>Its name in the report, which no other run there has.</summary>
    public required string Name { get; init; }

    /// <summary>The design that it shares with other seeds; null for a run that stands for itself.</summary>
    public string? Group { get; init; }

    /// <summary>The resolved configuration.</summary>
    public required RunConfig Config { get; init; }

    /// <summary>The numbers of its steps so far.</summary>
    public required IReadOnlyList<Metrics> Metrics { get; init; }

    /// <summary>Its samples, in the order of their steps.</summary>
    public IReadOnlyList<TrainingEvent.Sampled> Samples { get; init; } = [];

    /// <summary>The model's parameters; null where the configuration leaves the vocabulary to the tokenizer.</summary>
    public long? Parameters => Size?.Parameters;

    /// <summary>
    /// The operations of training on one token; null where they are not known: rows of a task differ in length and in what they predict.
    /// </summary>
    public double? FlopsPerToken => Config.Data.Task is null ? Size?.FlopsPerToken(Config.Model.ContextLength) : null;

    /// <summary>The line of its last step; null before the first one.</summary>
    public Metrics? Last => Metrics.Count == 0 ? null : Metrics[^1];

    /// <summary>The line of its last evaluation; null before the first one.</summary>
    public Metrics? LastEvaluated => Metrics.LastOrDefault(line => line.ValidationLoss is not null);

    /// <summary>The steps done.</summary>
    public int Steps => Last?.Step ?? 0;

    /// <summary>
    /// The mean training loss of the last <see cref="TrainingOutcome.TrainLossSteps"/> steps, in nats per token; null where there is none.
    /// </summary>
    public double? TrainLoss => RunLog.Summarize(Metrics).TrainLoss;

    /// <summary>The processor time of a token, all cores together; null where the log does not have it.</summary>
    public double? CoreSecondsPerToken => RunLog.Summarize(Metrics).CoreSecondsPerToken;

    /// <summary>The energy of a token; null where it was not counted.</summary>
    public double? JoulesPerToken => RunLog.Summarize(Metrics).JoulesPerToken;

    private ModelSize? Size => Config.Model.VocabularySize is null ? null : new ModelSize(Config.Model);

    /// <summary>Reads the folder of a run, which may be in training. Its name is that of the folder.</summary>
    /// <exception cref="InputException">There is no run, or its configuration cannot be read.</exception>
    public static ReportRun Read(string folder)
    {
        string Of(string name) => Path.Combine(folder, name);
        if (!File.Exists(Of(RunFolder.ConfigName)) || !(File.Exists(Of(RunEnvironment.FileName)) || File.Exists(Of(MetricsLog.FileName))))
            throw new InputException($"{folder}: no run there. " + (RunFolder.ConfigOf(folder) is { } config
                ? $"It belongs to a run: {ShellCommand.Of("report", Path.GetDirectoryName(config)!)}"
                : $"Expected a folder that `{ShellCommand.Of("train")}` made."));
        return new()
        {
            Name = LastParts(folder, 1),
            Config = ConfigFile.Load(Of(RunFolder.ConfigName), []),
            Metrics = [.. MetricsLog.Read(Of(MetricsLog.FileName))],
            Samples = SampleLog.Read(folder),
        };
    }

    /// <summary>Reads several runs. Where names are equal, they begin with the folders above that differ.</summary>
    /// <param name="folders">Their folders; one that is named twice is read once.</param>
    /// <inheritdoc cref="Read"/>
    public static IReadOnlyList<ReportRun> ReadAll(IEnumerable<string> folders)
    {
        string[] distinct = [.. folders.DistinctBy(folder => LastParts(folder, int.MaxValue))];
        return [.. distinct.Select(folder => Read(folder) with { Name = NameAmong(distinct, folder) })];
    }

    private static string NameAmong(IReadOnlyList<string> folders, string folder)
    {
        var length = Enumerable.Range(1, int.MaxValue).First(
            length => folders.Count(other => LastParts(other, length) == LastParts(folder, length)) == 1);
        return LastParts(folder, length);
    }

    private static string LastParts(string folder, int count) => string.Join(
        '/', Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder)).Split(Path.DirectorySeparatorChar).TakeLast(count));
}
