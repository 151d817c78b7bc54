using Transformer.Configuration;

namespace Transformer.Runs;

/// <summary>A whole run: model, data and training. The resolved form is enough to repeat the run.</summary>
public sealed record RunConfig : IValidated
{
    /// <summary>One line about the run; shown by <c>recipes</c>.</summary>
    public string? Description { get; init; }

    /// <summary>The architecture.</summary>
    public required ModelConfig Model { get; init; }

    /// <summary>Where the text comes from and how it becomes tokens.</summary>
    public required DataConfig Data { get; init; }

    /// <summary>Steps, batches, optimizer, schedule, evaluation and checkpoints.</summary>
    public required TrainingConfig Training { get; init; }

    /// <inheritdoc/>
    public IEnumerable<ConfigProblem> Problems()
    {
        if (Training.Distributed.Strategy == DistributedStrategy.TensorParallel)
            foreach (var problem in TensorParallelShare.Obstacles(Model)) yield return problem;
        if (Training.Distributed.Strategy == DistributedStrategy.Zero3 && Model.Memory is AssociativeMemoryConfig)
        {
            yield return new(
                "training.distributed.strategy",
                "zero3 gathers a block's parameters for the block alone, and associative memory needs them before and behind it; " +
                    "take zero2");
        }
        if (Model.Memory is not null && Data.Task is null && RowSegments < 2)
        {
            yield return new(
                "training.backpropagation_segments",
                "found 1, but what a segment writes is read by the next one, so that memory would never learn; take 2 or more");
        }
        else if (Model.HasSegments && Data is { Task: null, Sampling: not Sampling.Contiguous } && RowSegments < 2)
        {
            yield return new(
                "data.sampling",
                $"{Data.Sampling.ToString()!.ToLowerInvariant()} gives each row one segment, so that the model would never learn to use " +
                    "its memory; take contiguous, or rows of training.backpropagation_segments: 2 or more");
        }
        var learnsPieces = Model.Layers.Hourglasses.Any(found => found.Hourglass.Boundaries is PieceBoundariesConfig);
        if (learnsPieces && Data.Pieces is null)
            yield return new("data.pieces", "missing; expected the tokenizer whose pieces teach the boundaries of kind pieces");
        if (!learnsPieces && Data.Pieces is not null)
            yield return new("data.pieces", "no hourglass has boundaries of kind pieces, which it would teach; leave it out");
        if (!Model.HasSegments && Training.BackpropagationSegments is not null)
        {
            yield return new(
                "training.backpropagation_segments",
                "this model has no memory over segments; leave it out, or set model.memory or attention of kind transformer_xl");
        }
    }

    /// <summary>The segments of a training row of a text: where memory tokens must learn to write, two or more.</summary>
    internal int RowSegments => !Model.HasSegments || Data.Task is not null ? 1
        : Training.BackpropagationSegments ?? (Model.Memory is null ? 1 : 2);

    /// <summary>
    /// The most tokens of a training row: of a text those of the context or of its segments, of a task as many as it has.
    /// </summary>
    public int RowTokens => Model.HasSegments && Data.Task is not null
        ? int.MaxValue
        : (int)Math.Min((long)Model.ContextLength * RowSegments, int.MaxValue);

    /// <summary>Whether so many ranks divide the model's layers, not the batches.</summary>
    internal bool IsTensorParallel(int ranks) => ranks > 1 && Training.Distributed.Strategy == DistributedStrategy.TensorParallel;

    /// <summary>The problems that depend on where the run is trained.</summary>
    /// <param name="ranks">The number of processes.</param>
    /// <param name="device">The name of the device, e.g. <c>cpu</c> or <c>cuda:0</c>.</param>
    internal IEnumerable<ConfigProblem> ProblemsOn(int ranks, string device)
    {
        if (!IsTensorParallel(ranks) && Training.BatchSize < ranks)
            yield return new("training.batch_size", $"{Training.BatchSize} sequences are too few for {ranks} ranks. " +
                "Take as many or more, or start fewer ranks.");
        // On a device, dropout masks cannot be drawn a second time.
        if (device.StartsWith("cpu", StringComparison.Ordinal)
            || (Model.Dropout == 0 && Model.SoftmaxMixers().All(mixer => mixer.Dropout == 0)))
            yield break;
        var message = $"a block that is computed twice on {device} would draw another dropout mask the second time. " +
            "Train without dropout, or keep activations.";
        if (Training.ActivationCheckpointing) yield return new("training.activation_checkpointing", message);
        else if (ranks > 1 && Training.Distributed.Strategy == DistributedStrategy.Zero3)
            yield return new("training.distributed.strategy", $"zero3: {message}");
    }
}
