using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Transformer.Numerics;

namespace Transformer.Inference.Cpu;

// N tokens · I width

/// <summary>
/// Vectors of tokens, [N, I], and on demand their 8-bit form for quantised weights: blocks of 32 numbers, each with a scale and the sum of
/// its numbers, from which a kernel computes the correction for the weights' bias.
/// </summary>
internal sealed unsafe class Activations : IDisposable
{
    private readonly NativeArray<float> values, scales;
    private readonly NativeArray<int> sums;
    private readonly NativeArray<sbyte> quants;

    /// <param name="tokens">The most tokens.</param>
    /// <param name="width">I.</param>
    public Activations(int tokens, int width)
    {
        (Tokens, Width, Blocks) = (tokens, width, QuantizedBlocks.In(width));
        values = new(((long)tokens * width) + 8);
        quants = new((long)tokens * Blocks * QuantizedBlocks.Length);
        scales = new((long)tokens * Blocks);
        sums = new((long)tokens * Blocks);
    }

    /// <summary>The most tokens.</summary>
    public int Tokens { get; }

    /// <summary>I.</summary>
    public int Width { get; }

    /// <summary>The blocks of a token's 8-bit form.</summary>
    public int Blocks { get; }

    /// <summary>[N, I]</summary>
    public float* Values => values.Pointer;

    /// <summary>One token's vector: [I].</summary>
    public float* Row(int token) => values.Pointer + (long)token * Width;

    /// <summary>One token's vector in 8 bits, padded with zeros to an even number of blocks.</summary>
    public sbyte* Quants(int token) => quants.Pointer + (long)token * Blocks * QuantizedBlocks.Length;

    /// <summary>What a block's 8-bit numbers are multiplied by.</summary>
    public float* Scales(int token) => scales.Pointer + (long)token * Blocks;

    /// <summary>The sum of a block's 8-bit numbers.</summary>
    public int* Sums(int token) => sums.Pointer + (long)token * Blocks;

    /// <summary>Makes a token's 8-bit form: of each block the number furthest from zero becomes 127 or -127.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Quantize(int token)
    {
        var padded = stackalloc float[QuantizedBlocks.Length];
        var x = Row(token);
        var q = Quants(token);
        var scale = Scales(token);
        var sum = Sums(token);
        for (var i = 0; i < Width; i += QuantizedBlocks.Length, q += QuantizedBlocks.Length)
        {
            var block = x + i;
            if (Width - i < QuantizedBlocks.Length)
            {
                new Span<float>(block, Width - i).CopyTo(new Span<float>(padded, QuantizedBlocks.Length));
                new Span<float>(padded + (Width - i), QuantizedBlocks.Length - (Width - i)).Clear();
                block = padded;
            }
            (*scale++, *sum++) = Quantize(block, q);
        }
    }

    private static (float Scale, int Sum) Quantize(float* x, sbyte* q)
    {
        var (a, b, c, d) = (Vector256.Load(x), Vector256.Load(x + 8), Vector256.Load(x + 16), Vector256.Load(x + 24));
        var greatest8 = Vector256.Max(Vector256.Max(Vector256.Abs(a), Vector256.Abs(b)), Vector256.Max(Vector256.Abs(c), Vector256.Abs(d)));
        var greatest4 = Vector128.Max(greatest8.GetLower(), greatest8.GetUpper());
        var greatest = Math.Max(Math.Max(greatest4[0], greatest4[1]), Math.Max(greatest4[2], greatest4[3]));
        var inverse = greatest == 0 ? 0 : 127 / greatest;
        var (i, j, k, l) = (Round(a, inverse), Round(b, inverse), Round(c, inverse), Round(d, inverse));
        Vector256.Narrow(Vector256.Narrow(i, j), Vector256.Narrow(k, l)).Store(q);
        return (greatest / 127, Vector256.Sum(i + j + k + l));
    }

    private static Vector256<int> Round(Vector256<float> x, float inverse) => Vector256.ConvertToInt32(Vector256.Round(x * inverse));

    /// <inheritdoc/>
    public void Dispose()
    {
        values.Dispose();
        quants.Dispose();
        scales.Dispose();
        sums.Dispose();
    }
}
