namespace Transformer.Comparison;

/// <summary>The value of a swept key that suits a design best.</summary>
/// <param name="Design">The design.</param>
/// <param name="Sweep">What was swept.</param>
/// <param name="Value">The best value; null where every run failed.</param>
public sealed record SweepChoice(Design Design, Sweep Sweep, double? Value)
{
    /// <summary>Whether the best value is the first or last one, so that a better one may lie beyond.</summary>
    public bool IsAtEdge => Value == Sweep.Values[0] || Value == Sweep.Values[^1];
}
