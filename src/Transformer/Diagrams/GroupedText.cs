namespace Transformer.Diagrams;

/// <summary>The groups that an hourglass makes of a text.</summary>
/// <param name="Path">The hourglass, one that reads tokens, e.g. <c>model.layers.2</c>.</param>
/// <param name="Ends">For each token whether it ends a group.</param>
/// <param name="Probabilities">For each token the probability of a boundary; null where no network predicts one.</param>
public sealed record GroupedText(string Path, IReadOnlyList<bool> Ends, IReadOnlyList<double>? Probabilities)
{
    /// <summary>How many groups are complete.</summary>
    public int Groups => Ends.Count(end => end);
}
