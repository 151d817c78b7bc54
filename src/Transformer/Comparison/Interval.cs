namespace Transformer.Comparison;

/// <summary>An estimate with the bounds between which 95 of 100 estimates from resampled data lie.</summary>
/// <param name="Value">The estimate.</param>
/// <param name="Low">The lower bound.</param>
/// <param name="High">The upper bound.</param>
public readonly record struct Interval(double Value, double Low, double High)
{
    /// <inheritdoc/>
    public override string ToString() => $"{Value:g3} ({Low:g3} to {High:g3})";
}
