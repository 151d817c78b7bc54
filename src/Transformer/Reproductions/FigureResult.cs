namespace Transformer.Reproductions;

/// <summary>A measured figure beside the published one.</summary>
/// <param name="What">What is measured, with its unit.</param>
/// <param name="Published">The published figure, or what the publication says of it.</param>
/// <param name="Bound">What it has to be, in words.</param>
/// <param name="Ours">What it is.</param>
/// <param name="Holds">Whether it is within the bound.</param>
public sealed record FigureResult(string What, string Published, string Bound, double Ours, bool Holds);
