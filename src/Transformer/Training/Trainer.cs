using System.Diagnostics;
using Transformer.Configuration;
using Transformer.Data;
using Transformer.Distributed;
using Transformer.Evaluation;
using Transformer.Generation;
using Transformer.Inference.Cpu;
using Transformer.Inference.Torch;
using Transformer.Native;
using Transformer.Runs;
using Transformer.Tokenization;
using static TorchSharp.torch;

namespace Transformer.Training;

/// <summary>
/// A training run from its first step to its last: batches, steps, evaluations, samples, checkpoints and metrics in the run's folder. A run
/// that was interrupted, or killed, resumes from its last checkpoint and reaches the same weights. With several ranks each of them makes
/// the same calls in the same order; rank 0 writes and reports for all.
/// </summary>
public sealed class Trainer : IDisposable
{
    private const int StepsPerPass = 20;    // of the measurement of threads

    private readonly ICollective ranks;
    private readonly RunFolder run;
    private readonly Dataset data;
    private readonly TrainingState state;
    private readonly TrainingStep trainingStep;
    private readonly TrainingBatches batches;
    private readonly ModelSize size;
    private readonly RunLog? log;    // rank 0's
    private readonly EnergyCounter? energy;    // of the whole machine, so that several ranks would count it more than once
    private TrainingEvent.Started started;
    private int? savedStep;
    private bool sampledBefore;

    private Trainer(RunSetup setup, ICollective ranks, Action<TrainingEvent>? report, Device? device)
    {
        (this.ranks, run, data) = (ranks, setup.Run, setup.Data);
        Allocator.KeepFreedMemory();
        state = new TrainingState(setup, ranks, device);
        trainingStep = new TrainingStep(state.Model, state.Space, state.Optimizer, Training) { Scaler = state.Scaler };
        if (setup.Checkpoint is { } checkpoint)
            trainingStep.Memory = ranks.RunOnAll(() => TrainingCheckpoint.LoadMemory(checkpoint, state, Training.BatchSize));
        savedStep = setup.Checkpoint is null ? null : Progress.Step;
        batches = data.Train(run.Config, Progress.Position);
        size = new ModelSize(Model);
        log = ranks.Rank == 0 ? new RunLog(run, Progress, report) : null;
        energy = ranks.Ranks == 1 ? EnergyCounter.TryOpen() : null;
        started = new(run.Path, run.Config, data, size.Parameters, Progress.Step, setup.Environment, setup.Changes);
    }

    /// <summary>The run's folder.</summary>
    public string Folder => run.Path;

    /// <summary>The profile of some steps; null for none.</summary>
    public StepProfile? Profile { get; set; }

    private ModelConfig Model => run.Config.Model;

    private TrainingConfig Training => run.Config.Training;

    private TrainingProgress Progress { get => state.Progress; set => state.Progress = value; }

    /// <summary>Begins a run in a new folder.</summary>
    /// <param name="config">The run; a missing vocabulary size is taken from the tokenizer.</param>
    /// <param name="folder">The run's folder, created here.</param>
    /// <param name="report">Told what happens, in order, on the calling thread.</param>
    /// <param name="ranks">The processes that train together; this one alone where null. Rank 0's folder counts.</param>
    /// <param name="device">Where the model lives; the CPU where null.</param>
    /// <exception cref="InputException">Configuration, corpus or folder cannot be used.</exception>
    /// <exception cref="CollectiveException">They cannot on some rank, or differ between ranks.</exception>
    public static Trainer Start(
        RunConfig config, string folder, Action<TrainingEvent>? report = null, ICollective? ranks = null, Device? device = null)
    {
        ranks ??= new SingleProcess();
        return Begin(RunSetup.Start(config, folder, report, ranks, device), ranks, report, device);
    }

    /// <summary>Continues a run from its last checkpoint, or from its beginning where it has none.</summary>
    /// <param name="folder">The run's folder.</param>
    /// <param name="report">Told what happens, in order, on the calling thread.</param>
    /// <param name="ranks">The processes that train together, of which there may be more or fewer than before; this one alone where
    /// null.</param>
    /// <param name="device">Where the model lives; the CPU where null.</param>
    /// <param name="overrides">What is to change, as for <see cref="ConfigFile.Parse"/>: the number of steps, what is measured and kept on
    /// the way, and where the data lie. The schedule is then that of a run of so many steps. Rank 0's overrides count.</param>
    /// <exception cref="InputException">There is no run, another process has locked it, its data have changed, or a key may not
    /// change.</exception>
    /// <exception cref="CollectiveException">The same on some of several ranks.</exception>
    public static Trainer Resume(
        string folder, Action<TrainingEvent>? report = null, ICollective? ranks = null, Device? device = null,
        IReadOnlyCollection<string>? overrides = null)
    {
        ranks ??= new SingleProcess();
        return Begin(RunSetup.Resume(folder, report, ranks, device, overrides), ranks, report, device);
    }

    private static Trainer Begin(RunSetup setup, ICollective ranks, Action<TrainingEvent>? report, Device? device)
    {
        using var checkpoint = setup.Checkpoint;
        try
        {
            return new Trainer(setup, ranks, report, device);
        }
        catch
        {
            setup.Rollback();
            throw;
        }
    }

    /// <summary>
    /// The configuration with the values that follow from the data, with absolute paths, and with the checkpoint that
    /// <c>training.init_from</c> stands for.
    /// </summary>
    /// <exception cref="InputException">Vocabulary or weights do not fit.</exception>
    public static RunConfig Resolve(RunConfig config, Dataset data)
    {
        var tokens = data.Tokenizer.VocabularySize;
        if (config.Model.VocabularySize is { } size && size < tokens)
            throw new InputException(
                $"model.vocabulary_size: found {size}, but the tokenizer has {tokens} tokens. Leave it out, or set {tokens} or more.");
        var model = WhiteSpaceTokens.Resolve(config.Model with { VocabularySize = config.Model.VocabularySize ?? tokens }, data.Tokenizer);
        return InitialWeights.Resolve(ConfigPaths.Absolute(config with { Model = model }), data);
    }

    /// <summary>
    /// Chooses how many threads a new run of one process on the CPU computes with, and records them in environment.json. The measurement
    /// takes about as long as a twentieth of the steps at most, and changes nothing in the run but last digits, which depend on the
    /// threads.
    /// </summary>
    /// <exception cref="InputException">The run's folder can no longer be written.</exception>
    public ThreadChoice ChooseThreads()
    {
        state.Model.train();
        var choice = ThreadChoice.Measure(trainingStep, batches.At(0), Training.Steps / StepsPerPass);
        started = started with { Environment = RunEnvironment.Current(ranks, state.Model.Device) };
        started.Environment.Write(run.PathOf(RunEnvironment.FileName));
        return choice;
    }

    /// <summary>
    /// Trains to the last step. Cancellation, on any rank, saves a checkpoint first. Only rank 0 has the mean training loss.
    /// </summary>
    /// <exception cref="OperationCanceledException">The run was cancelled; it is saved.</exception>
    /// <exception cref="NonFiniteLossException">The loss is no longer finite.</exception>
    /// <exception cref="InputException">The run's folder can no longer be written.</exception>
    public TrainingOutcome Run(CancellationToken cancellation = default)
    {
        try
        {
            return RunToEnd(cancellation);
        }
        catch (InputException failure) when (failure.InnerException is IOException or UnauthorizedAccessException)
        {
            throw new InputException(Unsaved(failure), failure);
        }
        catch (CollectiveException failure) when (failure.InnerException?.InnerException is IOException or UnauthorizedAccessException)
        {
            throw new CollectiveException(Unsaved(failure), failure.InnerException);
        }
    }

    // The message about the file says that nothing was changed, which is not true of a run.
    private string Unsaved(Exception failure)
    {
        var last = run.CheckpointBefore(int.MaxValue);
        var resume = ShellCommand.Of("train", "--resume", run.Path);
        return $"{failure.Message.Split('\n')[0]}\n  The run ended after step {Progress.Step}. " + (last is null
            ? "It has no checkpoint yet." : $"Its last checkpoint, {last}, is complete. Fix the cause, then resume: {resume}");
    }

    private TrainingOutcome RunToEnd(CancellationToken cancellation)
    {
        var matrixRate = new MatrixRate(state.Model.Device, state.Model.Precision);
        var (before, watch) = (Progress, Stopwatch.StartNew());
        state.Model.train();
        log?.Report(started);
        EvaluationResult? validation = null;
        SampleIfDue();    // a run that ended between a checkpoint and its sample
        while (!IsOver)
        {
            if (ranks.Any(cancellation.IsCancellationRequested))
            {
                if (savedStep != Progress.Step) Save();
                throw new OperationCanceledException(cancellation);
            }

            var step = Step();
            Progress = Progress with { Seconds = before.Seconds + watch.Elapsed.TotalSeconds };
            matrixRate.Update(watch.Elapsed.TotalSeconds);
            validation = IsDue(Training.EvaluateEvery) ? Evaluate(isFullPass: Training.EvaluateBatches is null || IsOver) : null;
            var metrics = Line(step, validation, matrixRate.FlopsPerSecond);
            var pace = watch.Elapsed.TotalSeconds / (Progress.Step - before.Step);
            log?.Stepped(metrics, secondsLeft: pace * (Training.Steps - Progress.Step));
            if (IsDue(Training.CheckpointEvery) || Progress.BestStep == Progress.Step) Save();
            SampleIfDue();
        }

        var final = validation ?? Evaluate(isFullPass: true);
        var summary = log?.Finish();
        return new TrainingOutcome(
            run.Path, Progress.Step, Progress.Tokens, Progress.Seconds, summary?.TrainLoss, final.Loss, Progress.BestLoss!.Value,
            final.Accuracy, summary?.CoreSecondsPerToken, summary?.JoulesPerToken,
            data is Corpus text ? final.BitsPerByte(TextEvaluation.Of(text).Bytes) : null, ProcessMemory.Peak());
    }

    private bool LearnsSpans => Model.SoftmaxMixers().Any(mixer => mixer.Window is LearnedWindowConfig);

    private bool IsOver => Progress.Step >= Training.Steps || Progress.IsSolved;

    // Every given number of steps, and after the last one.
    private bool IsDue(int every) => Progress.Step % every == 0 || IsOver;

    private readonly record struct StepTaken(
        TrainingStep.Result Result, double LearningRate, long Tokens, double Flops, double Seconds, double CoreSeconds, double? Joules);

    private StepTaken Step()
    {
        ranks.CurrentOperation = $"step {Progress.Step + 1}";
        trainingStep.Profile = Profile?.BeginsStep() is true ? Profile : null;
        using var whole = trainingStep.Profile?.Measure("step");
        var (watch, processor) = (Stopwatch.StartNew(), Environment.CpuUsage.TotalTime);
        _ = energy?.Joules();
        var position = batches.Position;
        var reading = trainingStep.Profile?.Measure("batches");
        Batch[] drawn = [
            .. Enumerable.Range(0, Training.GradientAccumulation).Select(_ => Training.OverfitOneBatch ? batches.At(0) : batches.Next())];
        reading?.Dispose();
        var tokens = drawn.Sum(batch => batch.Inputs.LongLength);
        var flops = tokens * size.FlopsPerToken(
            Math.Min(drawn[0].Columns, Model.ContextLength), (double)drawn.Sum(batch => batch.Predictions) / tokens)
            + drawn.Sum(batch => batch.Pixels?.Count ?? 0) * size.FlopsPerPicture;
        var schedule = LearningRate.At(Training.Schedule, Progress.Step, Training.Steps);
        var scale = state.Scaler?.Scale;
        var result = Update(schedule, drawn);
        if (!result.IsFinite && state.Scaler is null)
            throw NonFinite($"step {Progress.Step + 1}: the loss is {result.Loss} and its gradient's norm {result.GradientNorm}, " +
                $"at batch {position} of the sampler");
        Progress = Progress with
        {
            Step = Progress.Step + 1,
            Position = batches.Position,
            Tokens = Progress.Tokens + tokens,
            GradientScale = state.Scaler?.Scale,
            GoodSteps = state.Scaler?.GoodSteps ?? 0,
        };
        if (state.Scaler is { } scaler && scaler.Scale != scale)
            log?.Report(new TrainingEvent.Rescaled(Progress.Step, scaler.Scale, Skipped: !result.IsFinite));
        if (result.IsFinite) state.Average?.Update(Progress.Step);
        return new(
            result, Training.Optimizer.LearningRate * schedule, tokens, flops, watch.Elapsed.TotalSeconds,
            OfAllRanks((Environment.CpuUsage.TotalTime - processor).TotalSeconds), energy?.Joules());
    }

    private double OfAllRanks(double own) => ranks.Ranks == 1 ? own : ranks.Gather(own).Sum(rank => rank[0]);

    private TrainingStep.Result Update(double schedule, Batch[] drawn)
    {
        try
        {
            return trainingStep.Run(schedule, drawn);
        }
        catch (NonFiniteLossException overflow)
        {
            throw NonFinite($"step {Progress.Step + 1}: {overflow.Message}");
        }
    }

    private NonFiniteLossException NonFinite(string what)
    {
        var good = run.CheckpointBefore(Progress.Step);
        return new($"{what}. {(good is null ? "There is no good checkpoint yet" : $"The last good checkpoint is {good}")}. " +
            "Try a lower learning rate, a longer warm-up or gradient_clip.");
    }

    private EvaluationResult Evaluate(bool isFullPass)
    {
        ranks.CurrentOperation = $"the evaluation after step {Progress.Step}";
        var heldOut = data.HeldOut(Model, Training.BatchSize, isFullPass ? null : Training.EvaluateBatches);
        var result = state.Measured(() => ModelEvaluation.Measure(state.Model, heldOut, ranks));
        if (!double.IsFinite(result.Loss)) throw NonFinite($"step {Progress.Step}: the validation loss is {result.Loss}");
        if (Progress.BestLoss is not { } best || result.Loss < best)
            Progress = Progress with { BestLoss = result.Loss, BestStep = Progress.Step };
        log?.Report(new TrainingEvent.Evaluated(Progress.Step, result, isFullPass));
        if (!(result.Accuracy >= Training.StopAtAccuracy)) return result;
        if (!isFullPass) return Evaluate(isFullPass: true);
        Progress = Progress with { IsSolved = true };
        return result;
    }

    private Metrics Line(StepTaken step, EvaluationResult? validation, double matrixFlopsPerSecond) => new()
    {
        Step = Progress.Step,
        Tokens = Progress.Tokens,
        TrainLoss = double.IsFinite(step.Result.Loss) ? step.Result.Loss : null,
        ValidationLoss = validation?.Loss,
        ValidationAccuracy = validation?.Accuracy,
        RowAccuracies = validation?.Rows,
        Spans = validation is null || !LearnsSpans ? null : state.Measured(
            () => ModelEvaluation.MeanSpans(state.Model, data.HeldOut(Model, Training.BatchSize, batches: 1).First())),
        BoundaryRates = validation is null || !Model.HasBoundaries ? null : state.Measured(
            () => GroupEvaluation.Measure(state.Model, data.HeldOut(Model, Training.BatchSize, batches: 1), data.Tokenizer)
                .Select(groups => groups.Rate).ToList()),
        LearningRate = step.LearningRate,
        GradientNorm = double.IsFinite(step.Result.GradientNorm) ? step.Result.GradientNorm : null,
        GradientScale = Progress.GradientScale,
        TokensPerSecond = step.Tokens / step.Seconds,
        Utilization = step.Flops / step.Seconds / ranks.Ranks / matrixFlopsPerSecond,
        Seconds = Progress.Seconds,
        CoreSecondsPerToken = step.CoreSeconds / step.Tokens,
        JoulesPerToken = step.Joules / step.Tokens,
    };

    // Where the parameters are shared out, every forward pass needs all ranks.
    private bool IsSampledByOne => !state.Space.ShardsParameters && state.Model.TensorParallelGroup is null;

    // After the checkpoint of the same step, so that a sample that fails loses nothing.
    private void SampleIfDue()
    {
        var isDue = IsOver || (Training.SampleEvery is { } every && Progress.Step % every == 0);
        if (!isDue || Training.SampleTokens == 0 || Progress.SampledStep == Progress.Step) return;
        Progress = Progress with { SampledStep = Progress.Step };
        var couldUseKernels = IsSampledByOne && state.Model.Device.type == TorchSharp.DeviceType.CPU;
        if (!sampledBefore && couldUseKernels && CpuKernels.FallbackNote(Model) is { } note) log?.Report(new TrainingEvent.Warned(note));
        sampledBefore = true;
        try
        {
            Sample();
        }
        catch (Exception failure) when (failure is InputException || IsSampledByOne)
        {
            // Where ranks sample together, only bad input surely fails on all of them; after anything else they would lose step.
            log?.Report(new TrainingEvent.Warned($"The sample after step {Progress.Step} failed, and the run goes on: {failure.Message}"));
        }
    }

    // A text is sampled at nanoGPT's temperature; an answer is generated greedily.
    private void Sample()
    {
        if (log is null && IsSampledByOne) return;
        var prompt = data.SamplePrompt();
        var answer = prompt.Answer;
        var options = new SamplingOptions
        {
            Temperature = answer is null ? 0.8 : 0,
            MaxTokens = answer ?? Training.SampleTokens,
            Seed = Training.Seed
        };
        var samples = state.Measured(() => state.Model.Generate(
            inference => [prompt.ReadBy(inference)], options, data.Tokenizer));
        if (log is null) return;
        var text = answer is null ? samples[0].Text : prompt.TextIn(data.Tokenizer) + samples[0].Text;
        // Ranks that share the model would all have to read the text, which one of them has.
        if (Model.HasBoundaries && answer is null && IsSampledByOne)
        {
            var groups = state.Measured(() => GroupEvaluation.Marked(state.Model, data.Tokenizer.Encode(text), data.Tokenizer));
            text = string.Join('\n', groups.Select(marked => $"\nits groups:\n{marked}").Prepend(text));
        }
        Progress = Progress with { SampleBytes = log.Sampled(Progress.Step, text) };
    }

    private void Save()
    {
        ranks.CurrentOperation = $"saving after step {Progress.Step}";
        TrainingCheckpoint.Save(run.Checkpoint(Progress.Step), state, trainingStep.Memory, Training.BatchSize, data.Tokenizer);
        savedStep = Progress.Step;
        log?.Saved(Progress, Training.KeepCheckpoints);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        log?.Dispose();
        batches.Dispose();
        trainingStep.Dispose();
        state.Dispose();
        data.Dispose();
        run.Dispose();
    }
}
