namespace Transformer.Comparison;

/// <summary>The loss of one run.</summary>
/// <param name="Parameters">N.</param>
/// <param name="Tokens">D, those that it was trained on.</param>
/// <param name="Loss">L.</param>
public readonly record struct ScalingPoint(double Parameters, double Tokens, double Loss);
