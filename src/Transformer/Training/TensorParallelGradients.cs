using Transformer.Distributed;
using Transformer.Layers;
using static TorchSharp.torch;

namespace Transformer.Training;

/// <summary>
/// Completes the gradients of a rank's share of a model under tensor parallelism. Those of its own heads and hidden units are
/// complete, and those outside of them are the same on all ranks; parameters that all heads share, such as a norm of queries,
/// have a gradient from this rank's heads only.
/// </summary>
internal sealed class TensorParallelGradients
{
    private readonly TensorParallelGroup ranks;
    private readonly Device device;
    private readonly IReadOnlyList<ParameterView> partial, counted;

    /// <param name="ranks">The ranks.</param>
    /// <param name="parameters">This rank's trained parameters.</param>
    /// <param name="device">Their device.</param>
    public TensorParallelGradients(TensorParallelGroup ranks, IReadOnlyList<ParameterView> parameters, Device device)
    {
        (this.ranks, this.device) = (ranks, device);
        partial = [.. parameters.Where(parameter => parameter.Spec.IsPartial)];
        // Parameters that all ranks have whole are counted by rank 0 only.
        counted = [.. parameters.Where(parameter => ranks.Rank == 0 || parameter.Spec.SplitDimension is not null)];
    }

    /// <summary>The ranks' processes.</summary>
    public ICollective Processes => ranks.Collective;

    /// <summary>Sums the partial gradients over the ranks.</summary>
    public void Sum()
    {
        if (partial.Count == 0) return;
        using var _ = no_grad();
        using var scope = NewDisposeScope();
        var sums = ranks.Sum(cat([.. partial.Select(parameter => parameter.Gradient!.flatten())]));
        foreach (var (parameter, sum) in partial.Zip(sums.split([.. partial.Select(parameter => parameter.Count)])))
            parameter.Gradient!.copy_(sum.view(parameter.Shape));
    }

    /// <summary>This rank's part of the square of the length of the whole model's gradient: a scalar in double precision.</summary>
    public Tensor OwnSquares()
    {
        using var scope = NewDisposeScope();
        var squares = counted.Count == 0
            ? zeros([], ScalarType.Float64, device)
            : stack(counted.Select(parameter => parameter.Gradient!.norm())).to(ScalarType.Float64).square().sum();
        return scope.MoveToOuter(squares);
    }
}
