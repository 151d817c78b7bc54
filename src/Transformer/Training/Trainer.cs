using System.Diagnostics;
using Transformer.Checkpoints;
using Transformer.Configuration;
using Transformer.Data;
using Transformer.Distributed;
using Transformer.Evaluation;
using Transformer.Generation;
using Transformer.Layers;
using Transformer.Model;
using Transformer.Native;
using static TorchSharp.torch;

namespace Transformer.Training;

/// <summary>
/// A training run from its first step to its last: batches, steps, evaluations, samples, checkpoints and metrics in the run's folder. A run that
/// was interrupted, however roughly, goes on from its last checkpoint to the same weights. Where several ranks train together, each of them calls what is here
/// in the same order; rank 0 writes and reports for all.
/// </summary>
public sealed class Trainer : IDisposable
{
    private readonly ICollective ranks;
    private readonly RunFolder run;
    private readonly Dataset data;
    private readonly TransformerModel model;
    private readonly ParameterSpace space;
    private readonly Optimizer optimizer;
    private readonly WeightAverage? average;
    private readonly TrainingStep trainingStep;
    private readonly TrainingBatches batches;
    private readonly MetricsLog? log;
    private readonly SampleLog? samples;
    private readonly Action<TrainingEvent> report;
    private readonly ModelSize size;
    private TrainingProgress progress;
    private int? savedStep;

    private Trainer(ICollective ranks, RunFolder run, Dataset data, CheckpointFolder? checkpoint, Action<TrainingEvent>? report, Device? device)
    {
        (this.ranks, this.run, this.data, this.report) = (ranks, run, data, ranks.Rank == 0 && report is not null ? report : _ => { });
        data.RequireContext(Model.ContextLength);
        if (device is { type: not TorchSharp.DeviceType.CPU } && Training.ActivationCheckpointing
            && (Model.Dropout > 0 || Model.SoftmaxMixers().Any(mixer => mixer.Dropout > 0)))
            throw new InputException($"training.activation_checkpointing: a block that is computed twice on {device} would drop other numbers the second time. Train without dropout, or keep activations.");
        manual_seed(Training.Seed);
        Allocator.KeepFreedMemory();
        model = Build(device);
        space = new ParameterSpace(model, Training.Parameters, ranks, Training.Distributed.Strategy);
        optimizer = Optimizer.FromConfig(Training.Optimizer, space);
        average = Training.EmaDecay is { } decay ? new WeightAverage(space, decay) : null;
        if (space.Ranks.Ranks > 1) manual_seed(Training.Seed + (checkpoint is null ? 0 : 1) + 1_000_003L * ranks.Rank);    // ranks drop different numbers
        progress = checkpoint is null
            ? new TrainingProgress { Corpus = data.Checksum }
            : TrainingCheckpoint.Load(checkpoint, model, space, optimizer, average);
        trainingStep = new TrainingStep(model, space, optimizer, Training) { Scaler = GradientScaler.For(Training.Precision, progress.GradientScale, progress.GoodSteps) };
        savedStep = checkpoint is null ? null : progress.Step;
        if (progress.Corpus != data.Checksum)
            throw new InputException($"{run.Path}: {data.Name} is not the one that the run began with. Put that one back, or start a new run.");
        batches = data.Train(run.Config, progress.Position);
        size = new ModelSize(Model);
        if (!IsFirst) return;
        samples = new SampleLog(run.Path, progress.SampleBytes);
        log = new MetricsLog(run.Path, progress.Step);
    }

    /// <summary>The run's folder.</summary>
    public string Folder => run.Path;

    /// <summary>Told where the time of some steps goes; null where nobody asks.</summary>
    public StepProfile? Profile { get; set; }

    private bool IsFirst => ranks.Rank == 0;

    private ModelConfig Model => run.Config.Model;

    private TrainingConfig Training => run.Config.Training;

    /// <summary>Begins a run in a new folder.</summary>
    /// <param name="config">What to train; a vocabulary size that is left open is taken from the tokenizer.</param>
    /// <param name="folder">The run's folder, made here.</param>
    /// <param name="report">Told what happens, in order, on the calling thread.</param>
    /// <param name="ranks">The processes that train together; this one alone where null. The folder is where rank 0 says.</param>
    /// <param name="device">Where the model lives; the CPU where null.</param>
    /// <exception cref="InputException">Configuration, corpus or folder cannot be used.</exception>
    /// <exception cref="AgreedException">They cannot on some rank, of several, or are not the same on all.</exception>
    public static Trainer Start(RunConfig config, string folder, Action<TrainingEvent>? report = null, ICollective? ranks = null, Device? device = null)
    {
        ranks ??= new SingleProcess();
        Dataset? data = null;
        RunFolder? run = null;
        try
        {
            var resolved = ranks.Together(() =>
            {
                data = OpenData(config, ranks);
                return Resolve(config, data);
            });
            folder = ranks.Gather(folder)[0];
            Agreement.Check(ranks, resolved, data!.Checksum);
            run = ranks.Together(() => ranks.Rank == 0 ? RunFolder.Create(folder, resolved) : RunFolder.HeldByRank0(folder, resolved));
            if (ranks.Rank == 0) RunEnvironment.Current().Write(run.PathOf(RunFolder.EnvironmentName));
            return new Trainer(ranks, run, data, checkpoint: null, report, device);
        }
        catch
        {
            data?.Dispose();
            run?.Withdraw();
            throw;
        }
    }

    /// <summary>Continues a run from its last checkpoint, or from its beginning where it has none.</summary>
    /// <param name="folder">The run's folder.</param>
    /// <param name="report">Told what happens, in order, on the calling thread.</param>
    /// <param name="ranks">The processes that train together, as many or as few as before or others; this one alone where null.</param>
    /// <param name="device">Where the model lives; the CPU where null.</param>
    /// <exception cref="InputException">There is no run, another process works on it, or its corpus has changed.</exception>
    /// <exception cref="AgreedException">It is so on some rank, of several.</exception>
    public static Trainer Resume(string folder, Action<TrainingEvent>? report = null, ICollective? ranks = null, Device? device = null)
    {
        ranks ??= new SingleProcess();
        var held = ranks.Together(() => ranks.Rank == 0 ? RunFolder.Open(folder) : null);
        var config = ranks.Gather(held is null ? "" : ConfigFile.ToYaml(held.Config))[0];
        var run = held ?? RunFolder.HeldByRank0(folder, ConfigFile.Parse(config, folder, []));
        Dataset? data = null;
        try
        {
            ranks.Together(() => data = OpenData(run.Config, ranks));
            Agreement.Check(ranks, run.Config, data!.Checksum);
            if (ranks.Rank == 0) foreach (var difference in RunEnvironment.Continue(run.PathOf(RunFolder.EnvironmentName)))
                report?.Invoke(new TrainingEvent.Warned($"The last digits may differ from an uninterrupted run: {difference}."));
            using var checkpoint = ranks.Together(() => OpenCheckpoint(run, ranks));
            return new Trainer(ranks, run, data, checkpoint, report, device);
        }
        catch
        {
            data?.Dispose();
            run.Dispose();
            throw;
        }
    }

    // Rank 0 says whether there is a checkpoint: a rank that does not see it may not begin anew beside the others.
    private static CheckpointFolder? OpenCheckpoint(RunFolder run, ICollective ranks)
    {
        if (!ranks.Gather(run.HasCheckpoint ? 1.0 : 0)[0].SequenceEqual([1.0])) return null;
        return CheckpointFolder.Open(run.Path);
    }

    // Ranks that share the model draw it whole, as one process does, and keep their share.
    private TransformerModel Build(Device? device)
    {
        var whole = new TransformerModel(Model, device) { Precision = Training.Precision };
        if (!SharesModel(run.Config, ranks)) return whole;
        using (whole) return TensorParallelModel.ShareOf(whole, new TensorRanks(ranks));
    }

    private static bool SharesModel(RunConfig config, ICollective ranks) => ranks.Ranks > 1 && config.Training.Distributed.Strategy == DistributedStrategy.TensorParallel;

    private static Dataset OpenData(RunConfig config, ICollective ranks)
    {
        if (SharesModel(config, ranks)) TensorShare.Check(config.Model, ranks.Ranks);
        else if (config.Training.BatchSize < ranks.Ranks)
            throw new InputException($"training.batch_size: {config.Training.BatchSize} sequences are too few for {ranks.Ranks} ranks. Take as many or more, or start fewer ranks.");
        var data = Dataset.Open(config.Data);
        try
        {
            data.RequireContext(config.Model.ContextLength);
            return data;
        }
        catch
        {
            data.Dispose();
            throw;
        }
    }

    /// <summary>The configuration with everything known that the data tell.</summary>
    public static RunConfig Resolve(RunConfig config, Dataset data)
    {
        var tokens = data.Tokenizer.VocabularySize;
        if (config.Model.VocabularySize is { } size && size < tokens)
            throw new InputException($"model.vocabulary_size: found {size}, but the tokenizer has {tokens} tokens. Leave it out, or set {tokens} or more.");
        return config with { Model = config.Model with { VocabularySize = config.Model.VocabularySize ?? tokens } };
    }

    /// <summary>Trains to the last step. Cancellation, of any rank, saves a checkpoint first. What the steps' losses came to is known to rank 0.</summary>
    /// <exception cref="OperationCanceledException">The run was cancelled; it is saved.</exception>
    /// <exception cref="NonFiniteLossException">The loss is no longer a number.</exception>
    /// <exception cref="InputException">The run's folder can no longer be written.</exception>
    public TrainingOutcome Run(CancellationToken cancellation = default)
    {
        using var matrixRate = new MatrixRate(model.Device, model.Precision);
        var (secondsBefore, stepsBefore) = (progress.Seconds, progress.Step);
        var watch = Stopwatch.StartNew();
        model.train();
        EvaluationResult? validation = null;
        while (!IsOver)
        {
            if (ranks.Any(cancellation.IsCancellationRequested))
            {
                if (savedStep != progress.Step) Save();
                throw new OperationCanceledException(cancellation);
            }

            var (result, learningRate, tokens, flops, seconds) = Step();
            progress = progress with { Seconds = secondsBefore + watch.Elapsed.TotalSeconds };
            matrixRate.Update(watch.Elapsed.TotalSeconds);
            validation = IsDue(Training.EvaluateEvery) ? Evaluate(isFullPass: Training.EvaluateBatches is null || IsOver) : null;
            var metrics = new Metrics
            {
                Step = progress.Step,
                Tokens = progress.Tokens,
                TrainLoss = double.IsFinite(result.Loss) ? result.Loss : null,
                ValidationLoss = validation?.Loss,
                ValidationAccuracy = validation?.Accuracy,
                Spans = validation is null ? null : Measured(() => ModelEvaluation.MeanSpans(model, data.HeldOut(Training.BatchSize, Model.ContextLength, batches: 1).First())),
                LearningRate = learningRate,
                GradientNorm = double.IsFinite(result.GradientNorm) ? result.GradientNorm : null,
                GradientScale = progress.GradientScale,
                TokensPerSecond = tokens / seconds,
                Utilization = flops / seconds / ranks.Ranks / matrixRate.FlopsPerSecond,
                Seconds = progress.Seconds,
            };
            log?.Write(metrics);
            var pace = watch.Elapsed.TotalSeconds / (progress.Step - stepsBefore);
            report(new TrainingEvent.Stepped(metrics, pace * (Training.Steps - progress.Step)));
            if (IsOver || (Training.SampleEvery is { } every && progress.Step % every == 0)) Sample();
            if (IsDue(Training.CheckpointEvery) || progress.BestStep == progress.Step) Save();
        }

        var final = validation ?? Evaluate(isFullPass: true);
        double? trainLoss = null;
        if (IsFirst)
        {
            Metrics[] lines = [.. MetricsLog.Read(run.PathOf(MetricsLog.FileName))];
            LossPlot.Write(lines, run.PathOf("loss.svg"));
            trainLoss = lines.TakeLast(100).Average(line => line.TrainLoss);
        }
        return new TrainingOutcome(run.Path, progress.Step, progress.Tokens, progress.Seconds, trainLoss, final.Loss, progress.BestLoss!.Value, final.Accuracy);
    }

    private bool IsOver => progress.Step >= Training.Steps || progress.IsSolved;

    // Every so many steps, and after the last one.
    private bool IsDue(int every) => progress.Step % every == 0 || IsOver;

    private (TrainingStep.Result Result, double LearningRate, long Tokens, double Flops, double Seconds) Step()
    {
        ranks.Doing = $"step {progress.Step + 1}";
        trainingStep.Profile = Profile?.BeginsStep() is true ? Profile : null;
        using var whole = trainingStep.Profile?.Measure("step");
        var watch = Stopwatch.StartNew();
        var position = batches.Position;
        var reading = trainingStep.Profile?.Measure("batches");
        Batch[] drawn = [.. Enumerable.Range(0, Training.GradientAccumulation).Select(_ => Training.OverfitOneBatch ? batches.At(0) : batches.Next())];
        reading?.Dispose();
        var tokens = drawn.Sum(batch => batch.Inputs.LongLength);
        var flops = tokens * size.FlopsPerToken(drawn[0].Columns, (double)drawn.Sum(batch => batch.Predictions) / tokens);
        var schedule = LearningRate.At(Training.Schedule, progress.Step, Training.Steps);
        var scaler = trainingStep.Scaler;
        var scale = scaler?.Scale;
        var result = Update(schedule, drawn);
        if (!result.IsFinite && scaler is null)
            throw NonFinite($"step {progress.Step + 1}: the loss is {result.Loss} and its gradient's norm {result.GradientNorm}, at batch {position} of the sampler");
        progress = progress with
        {
            Step = progress.Step + 1,
            Position = batches.Position,
            Tokens = progress.Tokens + tokens,
            GradientScale = scaler?.Scale,
            GoodSteps = scaler?.GoodSteps ?? 0,
        };
        if (scaler is not null && scaler.Scale != scale) report(new TrainingEvent.Rescaled(progress.Step, scaler.Scale, Skipped: !result.IsFinite));
        if (result.IsFinite) average?.Update(progress.Step);
        return (result, Training.Optimizer.LearningRate * schedule, tokens, flops, watch.Elapsed.TotalSeconds);
    }

    private TrainingStep.Result Update(double schedule, Batch[] drawn)
    {
        try
        {
            return trainingStep.Run(schedule, drawn);
        }
        catch (NonFiniteLossException overflow)
        {
            throw NonFinite($"step {progress.Step + 1}: {overflow.Message}");
        }
    }

    private NonFiniteLossException NonFinite(string what) => new(
        $"{what}. {(run.CheckpointBefore(progress.Step) is { } good ? $"The last good checkpoint is {good}" : "There is no good checkpoint yet")}. " +
        "Try a lower learning rate, a longer warm-up or gradient_clip.");

    private EvaluationResult Evaluate(bool isFullPass)
    {
        ranks.Doing = $"the evaluation after step {progress.Step}";
        var heldOut = data.HeldOut(Training.BatchSize, Model.ContextLength, isFullPass ? null : Training.EvaluateBatches);
        var result = Measured(() => ModelEvaluation.Measure(model, heldOut, ranks));
        if (!double.IsFinite(result.Loss)) throw NonFinite($"step {progress.Step}: the validation loss is {result.Loss}");
        if (progress.BestLoss is not { } best || result.Loss < best) progress = progress with { BestLoss = result.Loss, BestStep = progress.Step };
        report(new TrainingEvent.Evaluated(progress.Step, result, isFullPass));
        if (!(result.Accuracy >= Training.StopAtAccuracy)) return result;
        if (!isFullPass) return Evaluate(isFullPass: true);
        progress = progress with { IsSolved = true };
        return result;
    }

    // A text at a temperature that keeps to what the model is fairly sure of, as nanoGPT samples; an answer as the model would give it, after its question.
    private void Sample()
    {
        if (Training.SampleTokens == 0 || !(IsFirst || space.ShardsParameters || model.Tensors is not null)) return;    // where parameters are shared out, every pass needs all ranks
        var (prompt, answer) = data.SamplePrompt();
        var options = new SamplingOptions { Temperature = answer is null ? 0.8 : 0, MaxTokens = answer ?? Training.SampleTokens, Seed = Training.Seed };
        var sample = Measured(() => new TextGenerator(model, data.Tokenizer).Generate([prompt], options))[0];
        var text = answer is null ? sample.Text : data.Tokenizer.Decode(prompt) + sample.Text;
        if (samples is not null) progress = progress with { SampleBytes = samples.Append(progress.Step, text) };
        report(new TrainingEvent.Sampled(progress.Step, text));
    }

    private void Save()
    {
        ranks.Doing = $"saving after step {progress.Step}";
        var folder = run.Checkpoint(progress.Step);
        TrainingCheckpoint.Save(folder, model, data.Tokenizer, space, optimizer, average, progress);
        savedStep = progress.Step;
        if (!IsFirst) return;
        if (progress.BestStep == progress.Step) CheckpointMark.Set(folder, CheckpointMark.Best);
        CheckpointMark.Set(folder, CheckpointMark.Latest);
        run.DeleteCheckpoints(Training.KeepCheckpoints, progress.BestStep);
        report(new TrainingEvent.Saved(progress.Step, folder));
    }

    // The averaged weights are what is saved as the model, so they are what is measured.
    private T Measured<T>(Func<T> measure)
    {
        average?.Exchange();
        try
        {
            using var ends = space.Gathered();
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
        log?.Dispose();
        batches.Dispose();
        average?.Dispose();
        optimizer.Dispose();
        space.Dispose();
        model.Dispose();
        data.Dispose();
        run.Dispose();
    }
}
