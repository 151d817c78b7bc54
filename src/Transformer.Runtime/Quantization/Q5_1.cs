using System.Buffers.Binary;

namespace Transformer.Quantization;

// d scale · m minimum · q integer · x number

/// <summary>
/// Six bits per weight: 32 numbers x = d q + m, q from 0 to 31, in 24 bytes. Read only: llama.cpp takes it in place of <see cref="Q5_K"/>
/// where 256 does not divide a row.
/// </summary>
/// <remarks>
/// Bytes 0-1: d, fp16. Bytes 2-3: m, fp16. Bytes 4-7: 32 bits, bit i being the fifth of q_i. Bytes 8-23: byte 8 + i holds the other four
/// bits of q_i, low, and of q_(i + 16), high.
/// </remarks>
public static class Q5_1
{
    private const int Length = 32, Half = Length / 2, Integers = 8;

    /// <summary>The layout with its reader.</summary>
    public static BlockFormat Format { get; } = new(nameof(Q5_1), Length, bytes: Integers + Half, Dequantize);

    private static void Dequantize(ReadOnlySpan<byte> block, Span<float> x)
    {
        var d = (float)BinaryPrimitives.ReadHalfLittleEndian(block);
        var m = (float)BinaryPrimitives.ReadHalfLittleEndian(block[2..]);
        var fifth = BinaryPrimitives.ReadUInt32LittleEndian(block[4..]);
        for (var i = 0; i < Half; i++)
        {
            x[i] = d * (block[Integers + i] & 15 | Fifth(i)) + m;
            x[i + Half] = d * (block[Integers + i] >> 4 | Fifth(i + Half)) + m;
        }

        int Fifth(int i) => (int)(fifth >> i & 1) << 4;
    }
}
