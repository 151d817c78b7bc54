using System.Buffers.Binary;

namespace Transformer.Quantization;

// d scale of scales · m scale of minima · q integer · x number

/// <summary>
/// Five and a half bits per weight: as <see cref="Q4_K"/>, with q from 0 to 31: 256 numbers x = d s q - m z in 176 bytes. Read only; files
/// of the kind Q4_K_S have some, those of Q5_K_M most of their weights in it.
/// </summary>
/// <remarks>
/// Bytes 0-15: as in Q4_K. Bytes 16-47: bit p of byte i is the fifth bit of number i of part p. Bytes 48-175: the other four bits, as in
/// Q4_K.
/// </remarks>
public static class Q5_K
{
    private const int Length = 256, Part = 32, Scales = 4, Fifth = 16, Integers = Fifth + Part;

    /// <summary>The layout with its reader.</summary>
    public static BlockFormat Format { get; } = new(nameof(Q5_K), Length, bytes: Integers + Length / 2, Dequantize);

    private static void Dequantize(ReadOnlySpan<byte> block, Span<float> x)
    {
        var d = (float)BinaryPrimitives.ReadHalfLittleEndian(block);
        var m = (float)BinaryPrimitives.ReadHalfLittleEndian(block[2..]);
        for (var part = 0; part < Length / Part; part++)
        {
            var (s, z) = Q4_K.ScaleAndMinimum(block[Scales..Fifth], part);
            var (scale, minimum) = (d * s, m * z);
            var run = block.Slice(Integers + part / 2 * Part, Part);
            for (var i = 0; i < Part; i++)
                x[part * Part + i] = scale * (run[i] >> part % 2 * 4 & 15 | (block[Fifth + i] >> part & 1) << 4) - minimum;
        }
    }
}
