using System.Buffers.Binary;

namespace Transformer.Quantization;

// d scale of scales · s scale of sixteen · q integer · x number

/// <summary>
/// Three and seven sixteenths bits per weight: 256 numbers in 110 bytes, in sixteen parts of 16 with a scale s of six bits:
/// x = d (s - 32) (q - 4), q from 0 to 7. Read only.
/// </summary>
/// <remarks>
/// Bytes 0-31: the third bit of q: of eight numbers that are 32 apart in byte i, bit n being that of number 32 n + i. Bytes 32-95: its low
/// bits, as in <see cref="Q2_K"/>. Bytes 96-107: s: the low four bits of parts 0-7 are the low, of parts 8-15 the high half of bytes 0-7,
/// and the high two bits of part p are bits 2 (p / 4) and up of byte 8 + p mod 4. Bytes 108-109: d, fp16.
/// </remarks>
public static class Q3_K
{
    private const int Length = 256, Part = 16, Run = 32, Integers = Run, Scales = Integers + Length / 4, Scale = Scales + 12;

    /// <summary>The layout with its reader.</summary>
    public static BlockFormat Format { get; } = new(nameof(Q3_K), Length, bytes: Scale + 2, Dequantize);

    private static void Dequantize(ReadOnlySpan<byte> block, Span<float> x)
    {
        var d = (float)BinaryPrimitives.ReadHalfLittleEndian(block[Scale..]);
        for (var at = 0; at < Length; at++)
        {
            var third = block[at % Run] >> at / Run & 1;
            var scale = d * (ScaleOf(block[Scales..Scale], at / Part) - 32);
            x[at] = scale * ((Q2_K.LowBits(block[Integers..], at) | third << 2) - 4);
        }
    }

    private static int ScaleOf(ReadOnlySpan<byte> bytes, int part) =>
        bytes[part % 8] >> part / 8 * 4 & 15 | (bytes[8 + part % 4] >> part / 4 * 2 & 3) << 4;
}
