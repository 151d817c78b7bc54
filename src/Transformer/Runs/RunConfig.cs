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
    public IEnumerable<ConfigProblem> Problems() =>
        Training.Distributed.Strategy == DistributedStrategy.TensorParallel ? TensorParallelShare.Obstacles(Model) : [];
}
