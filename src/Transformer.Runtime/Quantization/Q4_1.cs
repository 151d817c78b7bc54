using System.Buffers.Binary;

namespace Transformer.Quantization;

// d scale · m minimum · q integer · x number

/// <summary>Five bits per weight: 32 numbers x = d q + m, q from 0 to 15, in 20 bytes. Read only.</summary>
/// <remarks>Bytes 0-1: d, fp16. Bytes 2-3: m, fp16. Bytes 4-19: byte 4 + i holds q_i, low, and q_(i + 16), high.</remarks>
public static class Q4_1
{
    private const int Length = 32, Half = Length / 2, Integers = 4;

    /// <summary>The layout with its reader.</summary>
    public static BlockFormat Format { get; } = new(nameof(Q4_1), Length, bytes: Integers + Half, Dequantize);

    private static void Dequantize(ReadOnlySpan<byte> block, Span<float> x)
    {
        var d = (float)BinaryPrimitives.ReadHalfLittleEndian(block);
        var m = (float)BinaryPrimitives.ReadHalfLittleEndian(block[2..]);
        for (var i = 0; i < Half; i++)
        {
            x[i] = d * (block[Integers + i] & 15) + m;
            x[i + Half] = d * (block[Integers + i] >> 4) + m;
        }
    }
}
