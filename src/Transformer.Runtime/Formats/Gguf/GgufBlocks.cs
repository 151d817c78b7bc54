using System.Runtime.InteropServices;
using Transformer.Quantization;

namespace Transformer.Formats.Gguf;

/// <summary>A tensor that a GGUF file holds in quantised blocks: numbers in single precision, dequantised as they are visited.</summary>
/// <param name="Blocks">The bytes of the blocks, mapped from the file.</param>
/// <param name="Shape">The dimensions of the numbers, the last one in whole blocks.</param>
/// <param name="Format">What makes numbers of blocks.</param>
internal sealed record GgufBlocks(MemoryTensor Blocks, IReadOnlyList<long> Shape, BlockFormat Format)
    : StoredTensor(Blocks.Name, ElementType.F32, Shape)
{
    private const int BlocksAtOnce = 4096;

    /// <inheritdoc/>
    public override void Visit(Action<ReadOnlySpan<byte>> visitor) => Blocks.Pin(address =>
    {
        var numbers = new float[BlocksAtOnce * Format.Length];
        for (long block = 0, count = Count / Format.Length; block < count; block += BlocksAtOnce)
        {
            var part = (int)Math.Min(BlocksAtOnce, count - block);
            var blocks = MemoryTensor.Span(address, block * Format.Bytes, part * Format.Bytes);
            Format.Dequantize(blocks, numbers.AsSpan(0, part * Format.Length));
            visitor(MemoryMarshal.AsBytes(numbers.AsSpan(0, part * Format.Length)));
        }
    });
}
