using System.Runtime.InteropServices;
using Transformer.Formats;

namespace Transformer.Inference;

/// <summary>A part of a state as a file holds it.</summary>
/// <param name="Name">The part's name in the file.</param>
/// <param name="Part">The numbers.</param>
internal sealed record StateTensor(string Name, StatePart Part) : StoredTensor(Name, ElementType.F32, [Part.Count])
{
    /// <inheritdoc/>
    public override void Visit(Action<ReadOnlySpan<byte>> visitor)
    {
        var numbers = new float[Part.Count];
        Part.CopyTo(numbers);
        visitor(MemoryMarshal.AsBytes<float>(numbers));
    }
}
