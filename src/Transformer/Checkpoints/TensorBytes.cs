using static TorchSharp.torch;

namespace Transformer.Checkpoints;

/// <summary>The memory of a contiguous CPU tensor, in pieces that a span can hold.</summary>
internal static class TensorBytes
{
    private const long ChunkElements = 1 << 26; // a span has at most 2^31 bytes, an element at most 8

    /// <summary>Reads or writes one piece.</summary>
    public delegate void Visitor(Span<byte> chunk);

    /// <summary>Visits all bytes in order. What is written to a span is in the tensor, whether or not it requires gradients.</summary>
    public static void Visit(Tensor tensor, Visitor visitor)
    {
        using var scope = NewDisposeScope();
        using var gradient = no_grad();
        var flat = tensor.view(-1);
        for (long start = 0, count = flat.shape[0]; start < count; start += ChunkElements)
            visitor(flat.narrow(0, start, Math.Min(ChunkElements, count - start)).bytes);
    }
}
