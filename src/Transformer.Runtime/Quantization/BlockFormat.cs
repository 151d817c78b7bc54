namespace Transformer.Quantization;

/// <summary>
/// A way to store weights in few bits: the numbers of a row in blocks of a fixed length, each with a scale of its own, as ggml lays them
/// out and GGUF files hold them. A block is a run of bytes without padding; numbers of more than one byte are little-endian.
/// </summary>
public sealed class BlockFormat
{
    private readonly BlockReader dequantize;
    private readonly BlockWriter? quantize;

    internal BlockFormat(string name, int length, int bytes, BlockReader dequantize, BlockWriter? quantize = null) =>
        (Name, Length, Bytes, this.dequantize, this.quantize) = (name, length, bytes, dequantize, quantize);

    internal delegate void BlockReader(ReadOnlySpan<byte> block, Span<float> values);

    internal delegate void BlockWriter(ReadOnlySpan<float> values, Span<byte> block);

    /// <summary>Its name in ggml.</summary>
    public string Name { get; }

    /// <summary>How many numbers a block holds. A row is a whole number of blocks.</summary>
    public int Length { get; }

    /// <summary>How many bytes a block takes.</summary>
    public int Bytes { get; }

    /// <summary>The bytes that this many numbers take.</summary>
    public long BytesOf(long count) => count / Length * Bytes;

    /// <summary>The numbers of whole blocks.</summary>
    /// <exception cref="ArgumentException">The lengths do not belong together.</exception>
    public void Dequantize(ReadOnlySpan<byte> blocks, Span<float> values)
    {
        CheckLengths(values.Length, blocks.Length);
        for (; !blocks.IsEmpty; blocks = blocks[Bytes..], values = values[Length..]) dequantize(blocks[..Bytes], values[..Length]);
    }

    /// <summary>The blocks of a row of finite numbers.</summary>
    /// <exception cref="ArgumentException">The lengths do not belong together.</exception>
    /// <exception cref="NotSupportedException">The format is one that is only read.</exception>
    public void Quantize(ReadOnlySpan<float> values, Span<byte> blocks)
    {
        if (quantize is null) throw new NotSupportedException($"{Name} is read, not written.");
        CheckLengths(values.Length, blocks.Length);
        for (; !blocks.IsEmpty; blocks = blocks[Bytes..], values = values[Length..]) quantize(values[..Length], blocks[..Bytes]);
    }

    private void CheckLengths(int values, int bytes)
    {
        if (values % Length != 0 || bytes != BytesOf(values))
            throw new ArgumentException($"{values} numbers and {bytes} bytes: {Name} has {Length} numbers in {Bytes} bytes.");
    }
}
