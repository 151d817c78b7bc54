namespace Transformer.Formats;

/// <summary>
/// A tensor whose bytes are computed from those of others while they are visited, so that no part of a large model is in memory twice.
/// </summary>
/// <param name="Name">The tensor's name.</param>
/// <param name="Type">The type of its elements.</param>
/// <param name="Shape">Its dimensions.</param>
/// <param name="Compute">Gives a visitor all bytes in order, in chunks of whole elements.</param>
internal sealed record ComputedTensor(string Name, ElementType Type, IReadOnlyList<long> Shape, Action<Action<ReadOnlySpan<byte>>> Compute)
    : StoredTensor(Name, Type, Shape)
{
    /// <inheritdoc/>
    public override void Visit(Action<ReadOnlySpan<byte>> visitor) => Compute(visitor);
}
