using System.Buffers.Binary;

namespace Transformer.Quantization;

// d scale · q integer · x number

/// <summary>
/// Four and a half bits per weight: 32 numbers x = d (q - 8), q from 0 to 15, in 18 bytes. The number of greatest magnitude becomes -8
/// steps whatever its sign, d being negative for a positive one: of its own sign there are 8 steps, of the other 7.
/// </summary>
/// <remarks>Bytes 0-1: d, fp16. Bytes 2-17: byte 2 + i holds q_i in its low four bits and q_(i + 16) in its high four bits.</remarks>
public static class Q4_0
{
    private const int Length = 32, Half = Length / 2, Middle = 8, Greatest = 15;

    /// <summary>The layout with its readers and writers.</summary>
    public static BlockFormat Format { get; } = new(nameof(Q4_0), Length, bytes: 2 + Half, Dequantize, Quantize);

    private static void Dequantize(ReadOnlySpan<byte> block, Span<float> x)
    {
        var d = (float)BinaryPrimitives.ReadHalfLittleEndian(block);
        for (var i = 0; i < Half; i++)
        {
            x[i] = d * ((block[2 + i] & 15) - Middle);
            x[i + Half] = d * ((block[2 + i] >> 4) - Middle);
        }
    }

    private static void Quantize(ReadOnlySpan<float> x, Span<byte> block)
    {
        float extreme = 0;
        foreach (var value in x) extreme = Math.Abs(value) > Math.Abs(extreme) ? value : extreme;
        var d = extreme / -Middle;
        var inverse = d == 0 ? 0 : 1 / d;
        BinaryPrimitives.WriteHalfLittleEndian(block, (System.Half)d);
        for (var i = 0; i < Half; i++) block[2 + i] = (byte)(Steps(x[i] * inverse) | Steps(x[i + Half] * inverse) << 4);
    }

    private static int Steps(float value) => Math.Min(Greatest, (int)(value + Middle + 0.5f));
}
