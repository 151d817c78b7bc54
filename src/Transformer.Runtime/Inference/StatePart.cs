namespace Transformer.Inference;

/// <summary>One array of numbers of a row's state, to be saved and loaded.</summary>
/// <param name="Name">Its name within the row.</param>
/// <param name="Count">How many there are.</param>
/// <param name="CopyTo">Copies them into a span of this length.</param>
/// <param name="CopyFrom">Copies them from a span of this length.</param>
internal sealed record StatePart(string Name, int Count, Action<Span<float>> CopyTo, Action<ReadOnlySpan<float>> CopyFrom);
