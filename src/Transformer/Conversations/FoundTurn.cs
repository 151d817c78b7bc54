namespace Transformer.Conversations;

/// <summary>A turn that a search has found.</summary>
/// <param name="Turn">The turn.</param>
/// <param name="Score">Its BM25: greater is better; it depends on what else the memory holds.</param>
/// <param name="Passage">The part of its text with the words that were found.</param>
public sealed record FoundTurn(Turn Turn, double Score, string Passage);
