using System.Diagnostics;
using Transformer.Checkpoints;
using Transformer.Configuration;
using Transformer.Data;
using Transformer.Evaluation;
using Transformer.Generation;
using Transformer.Model;
using Transformer.Native;
using static TorchSharp.torch;

namespace Transformer.Training;

/// <summary>
/// A training run from its first step to its last: batches, steps, evaluations, samples, checkpoints and metrics in the run's folder. A run that
/// was interrupted, however roughly, goes on from its last checkpoint to the same weights.
/// </summary>
public sealed class Trainer : IDisposable
{
    private readonly RunFolder run;
    private readonly Corpus corpus;
    private readonly TransformerModel model;
    private readonly ParameterSpace space;
    private readonly Optimizer optimizer;
    private readonly WeightAverage? average;
    private readonly BatchSampler sampler;
    private readonly MetricsLog log;
    private readonly SampleLog samples;
    private readonly Action<TrainingEvent> report;
    private readonly double flopsPerToken;
    private TrainingProgress progress;
    private int? savedStep;

    private Trainer(RunFolder run, Corpus corpus, CheckpointFolder? checkpoint, Action<TrainingEvent>? report)
    {
        (this.run, this.corpus, this.report) = (run, corpus, report ?? (_ => { }));
        corpus.RequireContext(Model.ContextLength);
        manual_seed(Training.Seed);
        Allocator.KeepFreedMemory();
        model = new TransformerModel(Model);
        space = new ParameterSpace(model, Training.Parameters);
        optimizer = Optimizer.FromConfig(Training.Optimizer, space);
        average = Training.EmaDecay is { } decay ? new WeightAverage(space, decay) : null;
        progress = checkpoint is null
            ? new TrainingProgress { Corpus = corpus.Checksum }
            : TrainingCheckpoint.Load(checkpoint, model, space, optimizer, average);
        savedStep = checkpoint is null ? null : progress.Step;
        if (progress.Corpus != corpus.Checksum)
            throw new InputException($"{run.Path}: the corpus {run.Config.Data.Path} is not the one that the run began with. Put that one back, or start a new run.");
        sampler = new BatchSampler(corpus.Training, Training.BatchSize, Model.ContextLength, Training.Seed, run.Config.Data.Sampling, progress.Position);
        samples = new SampleLog(run.Path, progress.SampleBytes);
        log = new MetricsLog(run.Path, progress.Step);
        flopsPerToken = new ModelSize(Model).FlopsPerToken(Model.ContextLength);
    }

    /// <summary>The run's folder.</summary>
    public string Folder => run.Path;

    private ModelConfig Model => run.Config.Model;

    private TrainingConfig Training => run.Config.Training;

    /// <summary>Begins a run in a new folder.</summary>
    /// <param name="config">What to train; a vocabulary size that is left open is taken from the tokenizer.</param>
    /// <param name="folder">The run's folder, made here.</param>
    /// <param name="report">Told what happens, in order, on the calling thread.</param>
    /// <exception cref="InputException">Configuration, corpus or folder cannot be used.</exception>
    public static Trainer Start(RunConfig config, string folder, Action<TrainingEvent>? report = null)
    {
        var corpus = Corpus.Open(config.Data);
        RunFolder? run = null;
        try
        {
            corpus.RequireContext(config.Model.ContextLength);
            run = RunFolder.Create(folder, Resolve(config, corpus));
            RunEnvironment.Current().Write(run.PathOf(RunFolder.EnvironmentName));
            return new Trainer(run, corpus, checkpoint: null, report);
        }
        catch
        {
            corpus.Dispose();
            run?.Withdraw();
            throw;
        }
    }

    /// <summary>Continues a run from its last checkpoint, or from its beginning where it has none.</summary>
    /// <param name="folder">The run's folder.</param>
    /// <param name="report">Told what happens, in order, on the calling thread.</param>
    /// <exception cref="InputException">There is no run, another process works on it, or its corpus has changed.</exception>
    public static Trainer Resume(string folder, Action<TrainingEvent>? report = null)
    {
        var run = RunFolder.Open(folder);
        Corpus? corpus = null;
        try
        {
            corpus = Corpus.Open(run.Config.Data);
            foreach (var difference in RunEnvironment.Continue(run.PathOf(RunFolder.EnvironmentName)))
                report?.Invoke(new TrainingEvent.Warned($"The last digits may differ from an uninterrupted run: {difference}."));
            using var checkpoint = run.HasCheckpoint ? CheckpointFolder.Open(folder) : null;
            return new Trainer(run, corpus, checkpoint, report);
        }
        catch
        {
            corpus?.Dispose();
            run.Dispose();
            throw;
        }
    }

    /// <summary>The configuration with everything known that the corpus tells.</summary>
    public static RunConfig Resolve(RunConfig config, Corpus corpus)
    {
        var tokens = corpus.Tokenizer.VocabularySize;
        if (config.Model.VocabularySize is { } size && size < tokens)
            throw new InputException($"model.vocabulary_size: found {size}, but the tokenizer has {tokens} tokens. Leave it out, or set {tokens} or more.");
        return config with { Model = config.Model with { VocabularySize = config.Model.VocabularySize ?? tokens } };
    }

    /// <summary>Trains to the last step. Cancellation saves a checkpoint first.</summary>
    /// <exception cref="OperationCanceledException">The run was cancelled; it is saved.</exception>
    /// <exception cref="NonFiniteLossException">The loss is no longer a number.</exception>
    /// <exception cref="InputException">The run's folder can no longer be written.</exception>
    public TrainingOutcome Run(CancellationToken cancellation = default)
    {
        using var matrixRate = new MatrixRate(model.Device);
        var (secondsBefore, stepsBefore) = (progress.Seconds, progress.Step);
        var watch = Stopwatch.StartNew();
        model.train();
        EvaluationResult? validation = null;
        while (progress.Step < Training.Steps)
        {
            if (cancellation.IsCancellationRequested)
            {
                if (savedStep != progress.Step) Save();
                cancellation.ThrowIfCancellationRequested();
            }

            var (result, learningRate, seconds) = Step();
            progress = progress with { Seconds = secondsBefore + watch.Elapsed.TotalSeconds };
            matrixRate.Update(watch.Elapsed.TotalSeconds);
            validation = IsDue(Training.EvaluateEvery) ? Evaluate() : null;
            var metrics = new Metrics
            {
                Step = progress.Step,
                Tokens = progress.Tokens,
                TrainLoss = result.Loss,
                ValidationLoss = validation?.Loss,
                Spans = validation is null ? null : WithAverage(() => ModelEvaluation.MeanSpans(model, ValidationBatch())),
                LearningRate = learningRate,
                GradientNorm = result.GradientNorm,
                TokensPerSecond = TokensPerStep / seconds,
                Utilization = flopsPerToken * TokensPerStep / seconds / matrixRate.FlopsPerSecond,
                Seconds = progress.Seconds,
            };
            log.Write(metrics);
            var pace = watch.Elapsed.TotalSeconds / (progress.Step - stepsBefore);
            report(new TrainingEvent.Stepped(metrics, pace * (Training.Steps - progress.Step)));
            if (progress.Step == Training.Steps || (Training.SampleEvery is { } every && progress.Step % every == 0)) Sample();
            if (IsDue(Training.CheckpointEvery) || progress.BestStep == progress.Step) Save();
        }

        var final = validation ?? Evaluate();
        Metrics[] lines = [.. MetricsLog.Read(run.PathOf(MetricsLog.FileName))];
        LossPlot.Write(lines, run.PathOf("loss.svg"));
        var trainLoss = lines.TakeLast(100).Average(line => line.TrainLoss);
        return new TrainingOutcome(run.Path, progress.Step, progress.Tokens, progress.Seconds, trainLoss, final.Loss, progress.BestLoss!.Value);
    }

    private long TokensPerStep => (long)Training.BatchSize * Training.GradientAccumulation * Model.ContextLength;

    // Every so many steps, and after the last one.
    private bool IsDue(int every) => progress.Step % every == 0 || progress.Step == Training.Steps;

    private (TrainingStep.Result Result, double LearningRate, double Seconds) Step()
    {
        var watch = Stopwatch.StartNew();
        var position = sampler.Position;
        Batch[] batches = [.. Enumerable.Range(0, Training.GradientAccumulation).Select(_ => Training.OverfitOneBatch ? sampler.At(0) : sampler.Next())];
        var schedule = LearningRate.At(Training.Schedule, progress.Step, Training.Steps);
        var result = TrainingStep.Run(model, space, optimizer, Training, schedule, batches);
        if (!result.IsFinite)
            throw NonFinite($"step {progress.Step + 1}: the loss is {result.Loss} and its gradient's norm {result.GradientNorm}, at batch {position} of the sampler");
        progress = progress with { Step = progress.Step + 1, Position = sampler.Position, Tokens = progress.Tokens + TokensPerStep };
        average?.Update(progress.Step);
        return (result, Training.Optimizer.LearningRate * schedule, watch.Elapsed.TotalSeconds);
    }

    private NonFiniteLossException NonFinite(string what) => new(
        $"{what}. {(run.CheckpointBefore(progress.Step) is { } good ? $"The last good checkpoint is {good}" : "There is no good checkpoint yet")}. " +
        "Try a lower learning rate, a longer warm-up or gradient_clip.");

    private EvaluationResult Evaluate()
    {
        var isFullPass = Training.EvaluateBatches is null || progress.Step == Training.Steps;
        var batches = isFullPass
            ? ValidationBatches.Full(corpus.Validation, Training.BatchSize, Model.ContextLength)
            : ValidationBatches.Estimate(corpus.Validation, Training.BatchSize, Model.ContextLength, Training.EvaluateBatches!.Value);
        var result = WithAverage(() => ModelEvaluation.Measure(model, batches));
        if (!double.IsFinite(result.Loss)) throw NonFinite($"step {progress.Step}: the validation loss is {result.Loss}");
        if (progress.BestLoss is not { } best || result.Loss < best) progress = progress with { BestLoss = result.Loss, BestStep = progress.Step };
        report(new TrainingEvent.Evaluated(progress.Step, result, isFullPass));
        return result;
    }

    private Batch ValidationBatch() => ValidationBatches.Full(corpus.Validation, Training.BatchSize, Model.ContextLength).First();

    // As nanoGPT samples: from a line's beginning, at a temperature that keeps to what the model is fairly sure of.
    private void Sample()
    {
        if (Training.SampleTokens == 0) return;
        var options = new SamplingOptions { Temperature = 0.8, MaxTokens = Training.SampleTokens, Seed = Training.Seed };
        var sample = WithAverage(() => new TextGenerator(model, corpus.Tokenizer).Generate([SamplePrompt()], options))[0];
        progress = progress with { SampleBytes = samples.Append(progress.Step, sample.Text) };
        report(new TrainingEvent.Sampled(progress.Step, sample.Text));
    }

    // A line break, or what the validation text begins with where the tokenizer has none.
    private int[] SamplePrompt()
    {
        try
        {
            return corpus.Tokenizer.BeginOfText is { } begin ? [begin] : corpus.Tokenizer.Encode("\n");
        }
        catch (InputException)
        {
            var first = new long[1];
            corpus.Validation.Read(0, first);
            return [(int)first[0]];
        }
    }

    private void Save()
    {
        var folder = run.Checkpoint(progress.Step);
        TrainingCheckpoint.Save(folder, model, corpus.Tokenizer, space, optimizer, average, progress);
        if (progress.BestStep == progress.Step) CheckpointMark.Set(folder, CheckpointMark.Best);
        CheckpointMark.Set(folder, CheckpointMark.Latest);
        run.DeleteCheckpoints(Training.KeepCheckpoints, progress.BestStep);
        savedStep = progress.Step;
        report(new TrainingEvent.Saved(progress.Step, folder));
    }

    // The averaged weights are what is saved as the model, so they are what is measured.
    private T WithAverage<T>(Func<T> measure)
    {
        average?.Exchange();
        try
        {
            return measure();
        }
        finally
        {
            average?.Exchange();
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        log.Dispose();
        sampler.Dispose();
        average?.Dispose();
        optimizer.Dispose();
        space.Dispose();
        model.Dispose();
        corpus.Dispose();
        run.Dispose();
    }
}
