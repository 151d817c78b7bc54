using System.Buffers.Binary;

namespace Transformer.Quantization;

// d scale · q integer · x number

/// <summary>
/// Eight and a half bits per weight: 32 numbers x = d q in 34 bytes. The greatest magnitude of a block is 127 steps, so that a number moves
/// by half a step at most, |x| / 254 of the greatest.
/// </summary>
/// <remarks>Bytes 0-1: d, fp16. Bytes 2-33: q_0 ... q_31, signed.</remarks>
public static class Q8_0
{
    private const int Length = 32, Greatest = 127;

    /// <summary>The layout with its readers and writers.</summary>
    public static BlockFormat Format { get; } = new(nameof(Q8_0), Length, bytes: 2 + Length, Dequantize, Quantize);

    private static void Dequantize(ReadOnlySpan<byte> block, Span<float> x)
    {
        var d = (float)BinaryPrimitives.ReadHalfLittleEndian(block);
        for (var i = 0; i < Length; i++) x[i] = d * (sbyte)block[2 + i];
    }

    // The integers are computed with the unrounded scale, as in ggml.
    private static void Quantize(ReadOnlySpan<float> x, Span<byte> block)
    {
        float greatest = 0;
        foreach (var value in x) greatest = Math.Max(greatest, Math.Abs(value));
        var d = greatest / Greatest;
        var inverse = d == 0 ? 0 : 1 / d;
        BinaryPrimitives.WriteHalfLittleEndian(block, (Half)d);
        for (var i = 0; i < Length; i++) block[2 + i] = (byte)(sbyte)MathF.Round(x[i] * inverse, MidpointRounding.AwayFromZero);
    }
}
