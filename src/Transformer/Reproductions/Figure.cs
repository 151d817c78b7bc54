namespace Transformer.Reproductions;

/// <summary>A figure of a reproduction, before it is measured.</summary>
/// <param name="What">What is measured, with its unit.</param>
/// <param name="Published">The published figure, or what the publication says of it.</param>
/// <param name="Bound">What it has to be.</param>
/// <param name="Of">The figure, from what the arms measured.</param>
public sealed record Figure(string What, string Published, Bound Bound, Func<ArmResults, double> Of);
