using Transformer.Configuration;

namespace Transformer.Runs;

/// <summary>Steps, batches, optimizer, schedule, evaluation and checkpoints.</summary>
public sealed record TrainingConfig : IValidated
{
    private const int MostRows = 1 << 20, MostSampleTokens = 1_000_000, MostSegments = 1 << 16;

    /// <summary>The number of optimizer steps.</summary>
    public required int Steps { get; init; }

    /// <summary>B, the number of sequences in one forward pass, divided among the ranks.</summary>
    public required int BatchSize { get; init; }

    /// <summary>The number of batches whose gradients are accumulated before a step.</summary>
    public int GradientAccumulation { get; init; } = 1;

    /// <summary>
    /// For a model with memory over segments, how many segments the gradient crosses: rows of a text are that many segments, 1 by default,
    /// and in rows of a task, which are read whole, it is cut after so many; default there: never.
    /// </summary>
    public int? BackpropagationSegments { get; init; }

    /// <summary>
    /// Activation checkpointing: blocks keep only their input for the backward pass and are computed again there, which takes less memory
    /// and about a third more time. Results are equal.
    /// </summary>
    public bool ActivationCheckpointing { get; init; }

    /// <summary>Seeds the parameters, the batches and dropout.</summary>
    public int Seed { get; init; } = 1337;

    /// <summary>
    /// The weights that the run begins with: a run's folder, a checkpoint's, or a .safetensors file, with the shapes and the tokenizer of
    /// this run. Steps, optimizer and schedule begin anew. Default: drawn as model.initialization says.
    /// </summary>
    public string? InitFrom { get; init; }

    /// <summary>
    /// The type of matrix products: fp32, bf16, fp16 (with loss scaling) or tf32 (on NVIDIA's GPUs). Parameters and checkpoints are fp32.
    /// </summary>
    public Precision Precision { get; init; } = Precision.Fp32;

    /// <summary>The rule that turns gradients into steps.</summary>
    public required OptimizerConfig Optimizer { get; init; }

    /// <summary>How the learning rate changes over the run.</summary>
    public ScheduleConfig Schedule { get; init; } = new CosineScheduleConfig();

    /// <summary>The greatest norm of the gradient of all parameters; a longer one is scaled down. Null: no clipping.</summary>
    public double? GradientClip { get; init; } = 1.0;

    /// <summary>
    /// The weight of the squared log-partition in the loss, which keeps logits small (Chowdhery et al. 2022); 1e-4 is usual.
    /// </summary>
    public double ZLoss { get; init; }

    /// <summary>
    /// Decay of the exponential moving average of the weights, which is evaluated and saved instead of them; default: none.
    /// </summary>
    public double? EmaDecay { get; init; }

    /// <summary>Learning rates and freezing by parameter name; the first pattern that matches a name counts.</summary>
    public IReadOnlyList<ParameterRule> Parameters { get; init; } = [];

    /// <summary>How the ranks of mpirun or srun divide the work; ignored for a single process.</summary>
    public DistributedConfig Distributed { get; init; } = new();

    /// <summary>Whether every step sees the first batch only: a model that cannot memorise it has a bug.</summary>
    public bool OverfitOneBatch { get; init; }

    /// <summary>Steps between evaluations; the last step is always evaluated on the whole validation text.</summary>
    public int EvaluateEvery { get; init; } = 250;

    /// <summary>
    /// The number of batches of an evaluation before the last one (a quick estimate). Null: the whole validation text.
    /// </summary>
    public int? EvaluateBatches { get; init; } = 20;

    /// <summary>
    /// The validation accuracy, from 0 to 1, at which the run ends before its last step; default: none. An estimate that reaches it is
    /// confirmed on the whole validation data. The schedule is not shortened.
    /// </summary>
    public double? StopAtAccuracy { get; init; }

    /// <summary>Steps between checkpoints; the last step is always saved.</summary>
    public int CheckpointEvery { get; init; } = 500;

    /// <summary>How many of the latest checkpoints are kept; the best one is kept as well.</summary>
    public int KeepCheckpoints { get; init; } = 2;

    /// <summary>Steps between samples of the model's text; default: only after the last step.</summary>
    public int? SampleEvery { get; init; }

    /// <summary>The number of tokens of a sample.</summary>
    public int SampleTokens { get; init; } = 300;

    /// <inheritdoc/>
    public IEnumerable<ConfigProblem> Problems()
    {
        if (Steps < 1) yield return new("steps", $"found {Steps}, expected 1 or more");
        if (BatchSize is < 1 or > MostRows) yield return new("batch_size", $"found {BatchSize}, expected 1 to {MostRows}");
        if (GradientAccumulation is < 1 or > MostRows)
            yield return new("gradient_accumulation", $"found {GradientAccumulation}, expected 1 to {MostRows}");
        if (BackpropagationSegments is < 1 or > MostSegments)
            yield return new("backpropagation_segments", $"found {BackpropagationSegments}, expected 1 to {MostSegments}");
        if (InitFrom is { Length: 0 }) yield return new("init_from", "found an empty path, expected a run or a checkpoint");
        if (GradientClip is <= 0) yield return new("gradient_clip", $"found {GradientClip}, expected more than 0");
        if (ZLoss < 0) yield return new("z_loss", $"found {ZLoss}, expected 0 or more");
        if (EmaDecay is <= 0 or >= 1) yield return new("ema_decay", $"found {EmaDecay}, expected more than 0 and less than 1");
        if (EvaluateEvery < 1) yield return new("evaluate_every", $"found {EvaluateEvery}, expected 1 or more");
        if (EvaluateBatches is < 1) yield return new("evaluate_batches", $"found {EvaluateBatches}, expected 1 or more");
        if (StopAtAccuracy is <= 0 or > 1)
            yield return new("stop_at_accuracy", $"found {StopAtAccuracy}, expected more than 0 and at most 1");
        if (CheckpointEvery < 1) yield return new("checkpoint_every", $"found {CheckpointEvery}, expected 1 or more");
        if (KeepCheckpoints < 1) yield return new("keep_checkpoints", $"found {KeepCheckpoints}, expected 1 or more");
        if (SampleEvery is < 1) yield return new("sample_every", $"found {SampleEvery}, expected 1 or more");
        if (Optimizer is MuonConfig && Distributed.Strategy != DistributedStrategy.DataParallel)
            yield return new(
                "distributed.strategy",
                "a shard ends in the middle of matrices, which muon needs whole; take data_parallel, or the optimizer adamw");
        if (SampleTokens is < 0 or > MostSampleTokens)
            yield return new("sample_tokens", $"found {SampleTokens}, expected 0 to {MostSampleTokens}");
    }
}
