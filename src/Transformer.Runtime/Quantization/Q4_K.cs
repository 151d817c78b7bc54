using System.Buffers.Binary;

namespace Transformer.Quantization;

// d scale of scales · m scale of minima · q integer · x number

/// <summary>
/// Four and a half bits per weight: 256 numbers in 144 bytes, in eight parts of 32 with a scale s and a minimum z of six bits each: x = d s
/// q - m z, q from 0 to 15. Read only; it is what most published 4-bit files hold.
/// </summary>
/// <remarks>
/// Bytes 0-1: d, fp16. Bytes 2-3: m, fp16. Bytes 4-15: the eight s and the eight z. Bytes 16-143: four runs of 32 bytes, byte i of run r
/// holding number i of part 2 r in its low four bits and that of part 2 r + 1 in its high four bits.
/// </remarks>
public static class Q4_K
{
    private const int Length = 256, Part = 32, Scales = 4, Integers = 16;

    /// <summary>The layout with its reader.</summary>
    public static BlockFormat Format { get; } = new(nameof(Q4_K), Length, bytes: Integers + Length / 2, Dequantize);

    private static void Dequantize(ReadOnlySpan<byte> block, Span<float> x)
    {
        var d = (float)BinaryPrimitives.ReadHalfLittleEndian(block);
        var m = (float)BinaryPrimitives.ReadHalfLittleEndian(block[2..]);
        for (var part = 0; part < Length / Part; part++)
        {
            var (s, z) = ScaleAndMinimum(block[Scales..Integers], part);
            var (scale, minimum) = (d * s, m * z);
            var run = block.Slice(Integers + part / 2 * Part, Part);
            var shift = part % 2 * 4;
            for (var i = 0; i < Part; i++) x[part * Part + i] = scale * (run[i] >> shift & 15) - minimum;
        }
    }

    /// <summary>
    /// Scale and minimum of a part, six bits each: those of parts 0-3 are the low bits of bytes 0-3 and 4-7; of parts 4-7 four bits are in
    /// bytes 8-11 and two at the top of the others.
    /// </summary>
    internal static (int Scale, int Minimum) ScaleAndMinimum(ReadOnlySpan<byte> bytes, int part) => part < 4
        ? (bytes[part] & 63, bytes[part + 4] & 63)
        : (bytes[part + 4] & 15 | bytes[part - 4] >> 6 << 4, bytes[part + 4] >> 4 | bytes[part] >> 6 << 4);
}
