namespace Transformer.Comparison;

/// <summary>A term A x^-α of a scaling law.</summary>
/// <param name="Coefficient">A.</param>
/// <param name="Exponent">α.</param>
public sealed record PowerTerm(Interval Coefficient, Interval Exponent);
