using System.Buffers.Binary;

namespace Transformer.Quantization;

// d scale of scales · m scale of minima · q integer · x number

/// <summary>
/// Two and five eighths bits per weight: 256 numbers in 84 bytes, in sixteen parts of 16 with a scale s and a minimum z of four bits each:
/// x = d s q - m z, q from 0 to 3. Read only.
/// </summary>
/// <remarks>
/// Bytes 0-15: s, low, and z, high, of each part. Bytes 16-79: q; each half of 128 numbers has 32 bytes, and numbers i, i + 32, i + 64 and
/// i + 96 of it take bits 0-1, 2-3, 4-5 and 6-7 of byte i. Bytes 80-81: d, fp16. Bytes 82-83: m, fp16.
/// </remarks>
public static class Q2_K
{
    private const int Length = 256, Part = 16, Run = 32, Integers = 16, Scale = Integers + Length / 4;

    /// <summary>The layout with its reader.</summary>
    public static BlockFormat Format { get; } = new(nameof(Q2_K), Length, bytes: Scale + 4, Dequantize);

    /// <summary>The two low bits of a number, as also <see cref="Q3_K"/> has them.</summary>
    internal static int LowBits(ReadOnlySpan<byte> integers, int at) => integers[at / 128 * Run + at % Run] >> at % 128 / Run * 2 & 3;

    private static void Dequantize(ReadOnlySpan<byte> block, Span<float> x)
    {
        var d = (float)BinaryPrimitives.ReadHalfLittleEndian(block[Scale..]);
        var m = (float)BinaryPrimitives.ReadHalfLittleEndian(block[(Scale + 2)..]);
        for (var at = 0; at < Length; at++)
        {
            var (scale, minimum) = (d * (block[at / Part] & 15), m * (block[at / Part] >> 4));
            x[at] = scale * LowBits(block[Integers..], at) - minimum;
        }
    }
}
