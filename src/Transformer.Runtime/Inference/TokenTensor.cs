using System.Runtime.InteropServices;
using Transformer.Formats;

namespace Transformer.Inference;

/// <summary>Token ids as a file holds them.</summary>
/// <param name="Name">Their name in the file.</param>
/// <param name="Tokens">The ids.</param>
internal sealed record TokenTensor(string Name, int[] Tokens) : StoredTensor(Name, ElementType.I32, [Tokens.Length])
{
    /// <inheritdoc/>
    public override void Visit(Action<ReadOnlySpan<byte>> visitor) => visitor(MemoryMarshal.AsBytes<int>(Tokens));
}
