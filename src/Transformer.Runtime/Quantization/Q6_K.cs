using System.Buffers.Binary;

namespace Transformer.Quantization;

// d scale of scales · s scale of sixteen · q integer · x number

/// <summary>
/// Six and a half bits per weight: 256 numbers in 210 bytes, in sixteen parts of 16 with a scale s of eight bits: x = d s (q - 32), q from
/// 0 to 63. Read only; it is used beside <see cref="Q4_K"/> in files of the mixed kind Q4_K_M.
/// </summary>
/// <remarks>
/// Bytes 0-127: the low four bits of q. Bytes 128-191: its high two bits. Bytes 192-207: s_0 ... s_15, signed. Bytes 208-209: d, fp16. Each
/// half of 128 numbers has its own 64 bytes of low and 32 of high bits: with i from 0 to 31, numbers i, i + 32, i + 64 and i + 96 take the
/// low half of low byte i, that of i + 32, the high half of i and of i + 32, and bits 0-1, 2-3, 4-5 and 6-7 of high byte i.
/// </remarks>
public static class Q6_K
{
    private const int Length = 256, Part = 16, Run = 32, Middle = 32, High = 128, Scales = 192, Scale = 208;

    /// <summary>The layout with its reader.</summary>
    public static BlockFormat Format { get; } = new(nameof(Q6_K), Length, bytes: Scale + 2, Dequantize);

    private static void Dequantize(ReadOnlySpan<byte> block, Span<float> x)
    {
        var d = (float)BinaryPrimitives.ReadHalfLittleEndian(block[Scale..]);
        for (var at = 0; at < Length; at++)
        {
            var (half, quarter, i) = (at / 128, at % 128 / Run, at % Run);
            var low = block[half * 64 + quarter % 2 * Run + i] >> quarter / 2 * 4 & 15;
            var high = block[High + half * Run + i] >> quarter * 2 & 3;
            x[at] = d * (sbyte)block[Scales + at / Part] * ((low | high << 4) - Middle);
        }
    }
}
