using static TorchSharp.torch;

namespace Transformer.Training;

/// <summary>
/// An exponential moving average of the parameters, which is often better than the last ones (Polyak and Juditsky 1992). Early on the decay
/// is (1 + t) / (10 + t), so that the random initialization is forgotten.
/// </summary>
public sealed class WeightAverage : IDisposable
{
    private readonly ParameterSpace space;
    private readonly double decay;

    /// <param name="space">The parameters.</param>
    /// <param name="decay">The fraction of the average that is kept at each step.</param>
    public WeightAverage(ParameterSpace space, double decay)
    {
        (this.space, this.decay) = (space, decay);
        Values = space.Values.clone().DetachFromDisposeScope();
    }

    /// <summary>The average, laid out as <see cref="ParameterSpace.Values"/>.</summary>
    public Tensor Values { get; }

    /// <summary>Updates the average with the parameters after a step.</summary>
    /// <param name="step">The number of steps so far, this one included.</param>
    public void Update(int step)
    {
        using var _ = no_grad();
        var kept = Math.Min(decay, (1.0 + step) / (10.0 + step));
        Values.mul_(kept).add_(space.Values, alpha: 1 - kept);
    }

    /// <summary>Swaps average and parameters; twice restores both.</summary>
    public void Exchange()
    {
        using var _ = no_grad();
        using var current = space.Values.clone();
        space.Values.copy_(Values);
        Values.copy_(current);
    }

    /// <inheritdoc/>
    public void Dispose() => Values.Dispose();
}
