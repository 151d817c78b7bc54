using Transformer.Distributed;
using Transformer.Layers;
using static TorchSharp.torch;

namespace Transformer.Training;

/// <summary>
/// What the gradients of a rank's share of a model lack under tensor parallelism. Those of its own heads and hidden units are whole, and so
/// are those of what stands outside of them, the same on all ranks; what all heads share, a norm of queries for one, has had a gradient
/// from this rank's heads only.
/// </summary>
internal sealed class TensorParallelGradients
{
    private readonly TensorParallelGroup ranks;
    private readonly Device device;
    private readonly IReadOnlyList<ParameterView> partial, counted;

    /// <param name="ranks">The ranks.</param>
    /// <param name="parameters">What this one trains.</param>
    /// <param name="device">Where they lie.</param>
    public TensorParallelGradients(TensorParallelGroup ranks, IReadOnlyList<ParameterView> parameters, Device device)
    {
        (this.ranks, this.device) = (ranks, device);
        partial = [.. parameters.Where(parameter => parameter.Spec.IsPartial)];
        // A parameter that all have whole is rank 0's, so that none counts twice.
        counted = [.. parameters.Where(parameter => ranks.Rank == 0 || parameter.Spec.SplitDimension is not null)];
    }

    /// <summary>The ranks' processes.</summary>
    public ICollective Processes => ranks.Collective;

    /// <summary>Adds up over the ranks what is not whole yet.</summary>
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
