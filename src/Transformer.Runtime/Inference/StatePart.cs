namespace Transformer.Inference;

/// <summary>Numbers that a row's tokens have left somewhere in a state, to be saved and loaded.</summary>
/// <param name="Name">What they are, within the row.</param>
/// <param name="Count">How many there are.</param>
/// <param name="CopyTo">Copies them into a span of this length.</param>
/// <param name="CopyFrom">Takes them from a span of this length.</param>
internal sealed record StatePart(string Name, int Count, Action<Span<float>> CopyTo, Action<ReadOnlySpan<float>> CopyFrom);
