using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Transformer.Generation.Decoding;

// N tokens · I inputs · O outputs · d a block's scale · u its numbers, b higher than they should be

/// <summary>
/// A matrix in blocks of 32 weights d (u - b). Inputs come in blocks too, d' v, so that a block of an output is d d' (sum u v - b sum v): integer products, and
/// one multiplication by the scales. The blocks of a row lie two by two, scales apart from numbers, eight of them making one vector.
/// </summary>
/// <typeparam name="TPair">How the numbers lie in memory.</typeparam>
internal sealed unsafe class QuantizedMatrix<TPair> : WeightMatrix where TPair : struct, IQuantizedPair
{
    private const int Block = 64;    // tokens whose inputs stay in the core's own cache while all rows pass by

    private readonly NativeArray<byte> numbers;
    private readonly NativeArray<Half> scales;
    private readonly int groups, pairs;

    /// <summary>A matrix of zeros, to be filled by <see cref="Write"/>.</summary>
    /// <param name="outputs">O.</param>
    /// <param name="inputs">I.</param>
    public QuantizedMatrix(int outputs, int inputs) : base(outputs, inputs)
    {
        groups = QuantizedBlocks.In(inputs) / QuantizedBlocks.Group;
        pairs = (inputs + 2 * QuantizedBlocks.Length - 1) / (2 * QuantizedBlocks.Length);
        numbers = new((long)outputs * pairs * TPair.Bytes);
        scales = new((long)outputs * groups * QuantizedBlocks.Group);
    }

    /// <inheritdoc/>
    public override long Bytes => numbers.Bytes + scales.Bytes;

    /// <inheritdoc/>
    public override bool TakesQuantized => true;

    /// <summary>Writes one block.</summary>
    /// <param name="output">The row.</param>
    /// <param name="block">Which block of the row.</param>
    /// <param name="scale">d.</param>
    /// <param name="biased">u, at most 32 numbers; those past the row's end are none.</param>
    public void Write(int output, int block, Half scale, ReadOnlySpan<byte> biased)
    {
        Scales(output)[block] = scale;
        var pair = Numbers(output) + block / 2 * TPair.Bytes;
        for (var i = 0; i < biased.Length; i++) TPair.Store(biased[i], pair, block % 2 * QuantizedBlocks.Length + i);
    }

    /// <inheritdoc/>
    public override void Read(int output, float* row)
    {
        var pair = Numbers(output);
        var scale = Scales(output);
        for (var i = 0; i < Inputs; i++)
            row[i] = (float)scale[i / 32] * (TPair.Number(pair + i / 64 * TPair.Bytes, i % 64) - TPair.Bias);
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void Multiply(Activations x, int tokens, int first, int end, float* y, long stride)
    {
        var products = stackalloc float[4 * QuantizedBlocks.Group];
        for (var from = 0; from < tokens; from += Block)
        {
            var to = Math.Min(from + Block, tokens);
            var output = first;
            for (; output + 4 <= end; output += 4)
                for (var token = from; token < to; token++) FourByOne(output, x, token, y + token * stride + output, products);
            for (; output < end; output++)
                for (var token = from; token < to; token++) y[token * stride + output] = Dot(output, x, token, products);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private float Dot(int output, Activations x, int token, float* products)
    {
        var w = Numbers(output);
        var d = Scales(output);
        var v = x.Quants(token);
        var e = x.Scales(token);
        var s = x.Sums(token);
        var bias = Vector256.Create((float)-TPair.Bias);
        var sum = Vector256<float>.Zero;
        for (var group = 0; group < groups; group++)
        {
            sum = Begin(d + group * 8, Vector256.Load(e + group * 8), Vector256.Load(s + group * 8) * bias, products, sum);
            var count = Math.Min(4, pairs - group * 4);
            for (var pair = 0; pair < count; pair++, w += TPair.Bytes, v += 64)
                sum = Add(w, Vector256.Load(v), Vector256.Load(v + 32), products + 2 * pair, sum);
        }
        return Vector256.Sum(sum);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void FourByOne(int output, Activations x, int token, float* y, float* products)
    {
        var (step, scaleStep) = (pairs * TPair.Bytes, groups * 8);
        var w = Numbers(output);
        var d = Scales(output);
        var v = x.Quants(token);
        var e = x.Scales(token);
        var s = x.Sums(token);
        var bias = Vector256.Create((float)-TPair.Bias);
        var (a0, a1, a2, a3) = (Vector256<float>.Zero, Vector256<float>.Zero, Vector256<float>.Zero, Vector256<float>.Zero);
        for (var group = 0; group < groups; group++, d += 8, e += 8, s += 8)
        {
            var (scale, excess) = (Vector256.Load(e), Vector256.Load(s) * bias);
            a0 = Begin(d, scale, excess, products, a0);
            a1 = Begin(d + scaleStep, scale, excess, products + 8, a1);
            a2 = Begin(d + 2 * scaleStep, scale, excess, products + 16, a2);
            a3 = Begin(d + 3 * scaleStep, scale, excess, products + 24, a3);
            var count = Math.Min(4, pairs - group * 4);
            for (var pair = 0; pair < count; pair++, w += TPair.Bytes, v += 64)
            {
                var (p, q) = (Vector256.Load(v), Vector256.Load(v + 32));
                a0 = Add(w, p, q, products + 2 * pair, a0);
                a1 = Add(w + step, p, q, products + 8 + 2 * pair, a1);
                a2 = Add(w + 2 * step, p, q, products + 16 + 2 * pair, a2);
                a3 = Add(w + 3 * step, p, q, products + 24 + 2 * pair, a3);
            }
        }
        y[0] = Vector256.Sum(a0);
        y[1] = Vector256.Sum(a1);
        y[2] = Vector256.Sum(a2);
        y[3] = Vector256.Sum(a3);
    }

    // The products of eight blocks' scales, and what the bias adds to those blocks: -b d d' sum v.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Begin(Half* d, Vector256<float> scale, Vector256<float> excess, float* products, Vector256<float> sum)
    {
        var product = HalfPrecision.ToSingle(Vector128.Load((ushort*)d)) * scale;
        product.Store(products);
        return Vector256.FusedMultiplyAdd(product, excess, sum);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Add(byte* w, Vector256<sbyte> p, Vector256<sbyte> q, float* products, Vector256<float> sum)
    {
        var (first, second) = TPair.Load(w);
        sum = Vector256.FusedMultiplyAdd(Vector256.ConvertToSingle(IntegerDot.Of(first, p)), Vector256.Create(products[0]), sum);
        return Vector256.FusedMultiplyAdd(Vector256.ConvertToSingle(IntegerDot.Of(second, q)), Vector256.Create(products[1]), sum);
    }

    private byte* Numbers(int output) => numbers.Pointer + (long)output * pairs * TPair.Bytes;

    private Half* Scales(int output) => scales.Pointer + (long)output * groups * QuantizedBlocks.Group;

    /// <inheritdoc/>
    public override void Dispose()
    {
        numbers.Dispose();
        scales.Dispose();
        base.Dispose();
    }
}
