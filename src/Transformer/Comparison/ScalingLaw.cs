namespace Transformer.Comparison;

/// <summary>The scaling law of designs that differ in their sizes alone.</summary>
/// <param name="Name">What they have in common.</param>
/// <param name="Fit">The law; null where too few of their runs ended well.</param>
public sealed record ScalingLaw(string Name, ScalingFit? Fit);
