using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Transformer.Numerics;

namespace Transformer.Inference.Cpu;

// N tokens · I inputs · O outputs · d a block's scale · u its numbers, b higher than they should be

/// <summary>
/// A matrix in blocks of 32 weights d (u - b). Inputs come in blocks too, d' v, so that a block of an output is d d' (sum u v - b sum v):
/// integer products, and one multiplication by the scales. Eight rows are interleaved block by block, in the order in which they are read,
/// so that a vector holds a sum of each and memory is one stream.
/// </summary>
/// <typeparam name="TNumbers">The format of the numbers in memory.</typeparam>
internal sealed unsafe class QuantizedMatrix<TNumbers> : WeightMatrix where TNumbers : struct, IQuantizedNumbers
{
    private const int Rows = QuantizedBlocks.Rows;
    private const int Block = 64;    // tokens whose inputs stay in the core's own cache while all rows are read
    private const int Reach = 2048;  // how many bytes ahead are fetched

    // Two blocks of eight rows at a time: their scales, 2 x 8 halves, and their numbers.
    private static readonly int Step = 2 * (Rows * sizeof(ushort) + TNumbers.Bytes);

    private readonly NativeArray<byte> memory;
    private readonly int pairs;

    /// <summary>A matrix of zeros, to be set by <see cref="Write"/>.</summary>
    /// <param name="outputs">O.</param>
    /// <param name="inputs">I.</param>
    public QuantizedMatrix(int outputs, int inputs) : base(outputs, inputs)
    {
        pairs = QuantizedBlocks.In(inputs) / 2;
        memory = new((long)(outputs + Rows - 1) / Rows * pairs * Step);
    }

    /// <inheritdoc/>
    public override long Bytes => memory.Bytes;

    /// <inheritdoc/>
    public override byte* Address => memory.Pointer;

    /// <inheritdoc/>
    public override bool TakesQuantized => true;

    /// <summary>Writes one block.</summary>
    /// <param name="output">The row.</param>
    /// <param name="block">Which block of the row.</param>
    /// <param name="scale">d.</param>
    /// <param name="biased">u, at most 32 numbers; those past the row's end are none.</param>
    public void Write(int output, int block, Half scale, ReadOnlySpan<byte> biased)
    {
        *Scale(output, block) = scale;
        for (var i = 0; i < biased.Length; i++) TNumbers.Store(biased[i], Numbers(output, block), output % Rows, i);
    }

    /// <inheritdoc/>
    public override void Read(int output, float* row)
    {
        for (var i = 0; i < Inputs; i++)
            row[i] = (float)*Scale(output, i / 32) * (TNumbers.Number(Numbers(output, i / 32), output % Rows, i % 32) - TNumbers.Bias);
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void Multiply(Activations x, int tokens, int first, int end, float* y, long stride)
    {
        for (var from = 0; from < tokens; from += Block)
        {
            var to = Math.Min(from + Block, tokens);
            for (var output = first; output < end; output += Rows)
            {
                var count = Math.Min(Rows, end - output);
                var token = from;
                for (; token + 4 <= to; token += 4) EightByFour(Pair(output), x, token, y + token * stride + output, stride, count);
                for (; token < to; token++) EightByOne(Pair(output), x, token, y + token * stride + output, count);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void EightByOne(byte* w, Activations x, int token, float* y, int count)
    {
        var v = (int*)x.Quants(token);
        var e = x.Scales(token);
        var s = x.Sums(token);
        var sum = Vector256<float>.Zero;
        for (var end = w + pairs * Step; w < end; w += Step, v += 16, e += 2, s += 2)
        {
            Prefetch.Into(w + Reach, Step);
            var numbers = w + 2 * Rows * sizeof(ushort);
            sum = Vector256.FusedMultiplyAdd(Dot(numbers, v, s[0]), HalfPrecision.ToSingle(Vector128.Load((ushort*)w)) * e[0], sum);
            sum = Vector256.FusedMultiplyAdd(
                Dot(numbers + TNumbers.Bytes, v + 8, s[1]), HalfPrecision.ToSingle(Vector128.Load((ushort*)w + Rows)) * e[1], sum);
        }
        Store(sum, y, count);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void EightByFour(byte* w, Activations x, int token, float* y, long stride, int count)
    {
        var v = (int*)x.Quants(token);
        var e = x.Scales(token);
        var s = x.Sums(token);
        var (one, two, three) = (x.Blocks, 2 * x.Blocks, 3 * x.Blocks);            // from one token's blocks to the others'
        var (a, b, c, d) = (Vector256<float>.Zero, Vector256<float>.Zero, Vector256<float>.Zero, Vector256<float>.Zero);
        for (var block = 0; block < 2 * pairs; block++, v += 8, e++, s++)
        {
            var numbers = w + 2 * Rows * sizeof(ushort) + block % 2 * TNumbers.Bytes;
            var scale = HalfPrecision.ToSingle(Vector128.Load((ushort*)w + block % 2 * Rows));
            var (i, j, k, l) = (Excess(s[0]), Excess(s[one]), Excess(s[two]), Excess(s[three]));
            for (var n = 0; n < 4; n++)
            {
                var (low, high) = TNumbers.Load(numbers, n);
                i = IntegerDot.Add(IntegerDot.Add(i, low, Four(v + n)), high, Four(v + n + 4));
                j = IntegerDot.Add(IntegerDot.Add(j, low, Four(v + 8 * one + n)), high, Four(v + 8 * one + n + 4));
                k = IntegerDot.Add(IntegerDot.Add(k, low, Four(v + 8 * two + n)), high, Four(v + 8 * two + n + 4));
                l = IntegerDot.Add(IntegerDot.Add(l, low, Four(v + 8 * three + n)), high, Four(v + 8 * three + n + 4));
            }
            a = Vector256.FusedMultiplyAdd(Vector256.ConvertToSingle(i), scale * e[0], a);
            b = Vector256.FusedMultiplyAdd(Vector256.ConvertToSingle(j), scale * e[one], b);
            c = Vector256.FusedMultiplyAdd(Vector256.ConvertToSingle(k), scale * e[two], c);
            d = Vector256.FusedMultiplyAdd(Vector256.ConvertToSingle(l), scale * e[three], d);
            if (block % 2 == 1) w += Step;
        }
        Store(a, y, count);
        Store(b, y + stride, count);
        Store(c, y + 2 * stride, count);
        Store(d, y + 3 * stride, count);
    }

    // sum u v - b sum v of eight rows' blocks.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Dot(byte* numbers, int* v, int sum)
    {
        var (a, b) = (Excess(sum), Vector256<int>.Zero);
        for (var n = 0; n < 4; n++)
        {
            var (low, high) = TNumbers.Load(numbers, n);
            a = IntegerDot.Add(a, low, Four(v + n));
            b = IntegerDot.Add(b, high, Four(v + n + 4));
        }
        return Vector256.ConvertToSingle(a + b);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<int> Excess(int sum) => Vector256.Create(-TNumbers.Bias * sum);

    // Four neighbouring inputs, for all eight rows.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<sbyte> Four(int* v) => Vector256.Create(*v).AsSByte();

    private static void Store(Vector256<float> sums, float* y, int count)
    {
        if (count == Rows) sums.Store(y);
        else
            for (var row = 0; row < count; row++) y[row] = sums[row];
    }

    private byte* Pair(int output, int block = 0) => memory.Pointer + ((long)(output / Rows) * pairs + block / 2) * Step;

    private byte* Numbers(int output, int block) => Pair(output, block) + 2 * Rows * sizeof(ushort) + block % 2 * TNumbers.Bytes;

    private Half* Scale(int output, int block) => (Half*)Pair(output, block) + block % 2 * Rows + output % Rows;

    /// <inheritdoc/>
    public override void Dispose()
    {
        memory.Dispose();
        base.Dispose();
    }
}
