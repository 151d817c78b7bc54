using System.Buffers.Binary;

namespace Transformer.Quantization;

// d scale · q integer · x number

/// <summary>
/// Five and a half bits per weight: 32 numbers x = d (q - 16), q from 0 to 31, in 22 bytes. Read only: llama.cpp takes it in place of
/// <see cref="Q4_K"/> where 256 does not divide a row.
/// </summary>
/// <remarks>
/// Bytes 0-1: d, fp16. Bytes 2-5: 32 bits, bit i being the fifth of q_i. Bytes 6-21: byte 6 + i holds the other four bits of q_i, low, and
/// of q_(i + 16), high.
/// </remarks>
public static class Q5_0
{
    private const int Length = 32, Half = Length / 2, Middle = 16;

    /// <summary>The layout with its reader.</summary>
    public static BlockFormat Format { get; } = new(nameof(Q5_0), Length, bytes: 2 + Length / 8 + Half, Dequantize);

    private static void Dequantize(ReadOnlySpan<byte> block, Span<float> x)
    {
        var d = (float)BinaryPrimitives.ReadHalfLittleEndian(block);
        var fifth = BinaryPrimitives.ReadUInt32LittleEndian(block[2..]);
        for (var i = 0; i < Half; i++)
        {
            x[i] = d * ((block[6 + i] & 15 | Fifth(i)) - Middle);
            x[i + Half] = d * ((block[6 + i] >> 4 | Fifth(i + Half)) - Middle);
        }

        int Fifth(int i) => (int)(fifth >> i & 1) << 4;
    }
}
