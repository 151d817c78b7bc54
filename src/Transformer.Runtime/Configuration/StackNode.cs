namespace Transformer.Configuration;

/// <summary>A part of a model's depth.</summary>
/// <param name="Path">Its module, e.g. <c>model.layers.0</c>; the names of its parts follow behind a dot.</param>
public abstract record StackNode(string Path);

/// <summary>Layers that read groups of tokens, with what leads into them and out of them.</summary>
/// <param name="Path">Its module.</param>
/// <param name="Config">How tokens are grouped.</param>
/// <param name="Layers">The blocks and hourglasses that read the groups.</param>
/// <param name="Share">How many vectors it reads a token of the text, in the mean.</param>
public sealed record HourglassSpec(string Path, HourglassConfig Config, IReadOnlyList<StackNode> Layers, double Share) : StackNode(Path);
