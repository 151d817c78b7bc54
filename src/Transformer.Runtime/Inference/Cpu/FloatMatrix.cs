using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Transformer.Inference.Cpu;

// N tokens · I inputs · O outputs

/// <summary>
/// A matrix of floating-point weights. For one token, weights are streamed four rows at a time; for many, each four rows are multiplied
/// with three tokens at a time, so that twelve sums in registers share seven loads. Each output is eight partial sums, in the order of the
/// inputs, whatever the number of tokens.
/// </summary>
/// <typeparam name="TElement">The format of a weight in memory.</typeparam>
internal sealed unsafe class FloatMatrix<TElement> : WeightMatrix where TElement : struct, IWeightElement
{
    private const int Block = 48;    // tokens whose inputs stay in the core's own cache while all rows are read

    private readonly byte* weights;
    private readonly IDisposable? owned;

    /// <param name="weights">[O, I], row by row.</param>
    /// <param name="outputs">O.</param>
    /// <param name="inputs">I.</param>
    /// <param name="owned">Memory that the matrix owns; null where it is the caller's.</param>
    public FloatMatrix(byte* weights, int outputs, int inputs, IDisposable? owned = null) : base(outputs, inputs)
    {
        this.weights = weights;
        this.owned = owned;
    }

    /// <inheritdoc/>
    public override long Bytes => (long)Outputs * Inputs * TElement.Size;

    /// <inheritdoc/>
    public override byte* Address => weights;

    /// <inheritdoc/>
    public override bool TakesQuantized => false;

    /// <inheritdoc/>
    public override void Read(int output, float* row)
    {
        var weights = Row(output);
        for (var i = 0; i < Inputs; i++) row[i] = TElement.Single(weights, i);
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void Multiply(Activations x, int tokens, int first, int end, float* y, long stride)
    {
        for (var from = 0; from < tokens; from += Block)
        {
            var to = Math.Min(from + Block, tokens);
            var output = first;
            for (; output + 4 <= end; output += 4)
            {
                var token = from;
                for (; token + 3 <= to; token += 3)
                {
                    FourByThree(Row(output), x, token, y + token * stride + output, stride);
                    Prefetch.Into(Row(output + 4), 4L * Inputs * TElement.Size, (token - from) / 3, (to - from) / 3);
                }
                for (; token < to; token++) FourByOne(Row(output), x.Row(token), y + token * stride + output);
            }
            for (; output < end; output++)
                for (var token = from; token < to; token++) y[token * stride + output] = Dot(Row(output), x.Row(token));
        }
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        owned?.Dispose();
        base.Dispose();
    }

    private byte* Row(int output) => weights + (long)output * Inputs * TElement.Size;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private float Dot(byte* w, float* x)
    {
        var sum = Vector256<float>.Zero;
        var i = 0;
        for (; i + 8 <= Inputs; i += 8) sum = Vector256.FusedMultiplyAdd(TElement.Load(w, i), Vector256.Load(x + i), sum);
        return Finish(sum, w, x, i);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void FourByOne(byte* w, float* x, float* y)
    {
        var (step, inputs) = ((long)Inputs * TElement.Size, Inputs);
        var w1 = w + step;
        var w2 = w1 + step;
        var w3 = w2 + step;
        var (a0, a1, a2, a3) = (Vector256<float>.Zero, Vector256<float>.Zero, Vector256<float>.Zero, Vector256<float>.Zero);
        var i = 0;
        for (; i + 8 <= inputs; i += 8)
        {
            Prefetch.Into(w + 4 * step + 4 * i * TElement.Size, 32 * TElement.Size);     // the next four rows
            var v = Vector256.Load(x + i);
            a0 = Vector256.FusedMultiplyAdd(TElement.Load(w, i), v, a0);
            a1 = Vector256.FusedMultiplyAdd(TElement.Load(w1, i), v, a1);
            a2 = Vector256.FusedMultiplyAdd(TElement.Load(w2, i), v, a2);
            a3 = Vector256.FusedMultiplyAdd(TElement.Load(w3, i), v, a3);
        }
        y[0] = Finish(a0, w, x, i);
        y[1] = Finish(a1, w1, x, i);
        y[2] = Finish(a2, w2, x, i);
        y[3] = Finish(a3, w3, x, i);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void FourByThree(byte* w, Activations activations, int token, float* y, long stride)
    {
        var (step, inputs) = ((long)Inputs * TElement.Size, Inputs);
        var w1 = w + step;
        var w2 = w1 + step;
        var w3 = w2 + step;
        var x = activations.Row(token);
        var p = activations.Row(token + 1);
        var q = activations.Row(token + 2);
        var (a0, a1, a2, a3) = (Vector256<float>.Zero, Vector256<float>.Zero, Vector256<float>.Zero, Vector256<float>.Zero);
        var (b0, b1, b2, b3) = (Vector256<float>.Zero, Vector256<float>.Zero, Vector256<float>.Zero, Vector256<float>.Zero);
        var (c0, c1, c2, c3) = (Vector256<float>.Zero, Vector256<float>.Zero, Vector256<float>.Zero, Vector256<float>.Zero);
        var i = 0;
        for (; i + 8 <= inputs; i += 8)
        {
            var (u, v, z) = (Vector256.Load(x + i), Vector256.Load(p + i), Vector256.Load(q + i));
            var r = TElement.Load(w, i);
            a0 = Vector256.FusedMultiplyAdd(r, u, a0);
            b0 = Vector256.FusedMultiplyAdd(r, v, b0);
            c0 = Vector256.FusedMultiplyAdd(r, z, c0);
            r = TElement.Load(w1, i);
            a1 = Vector256.FusedMultiplyAdd(r, u, a1);
            b1 = Vector256.FusedMultiplyAdd(r, v, b1);
            c1 = Vector256.FusedMultiplyAdd(r, z, c1);
            r = TElement.Load(w2, i);
            a2 = Vector256.FusedMultiplyAdd(r, u, a2);
            b2 = Vector256.FusedMultiplyAdd(r, v, b2);
            c2 = Vector256.FusedMultiplyAdd(r, z, c2);
            r = TElement.Load(w3, i);
            a3 = Vector256.FusedMultiplyAdd(r, u, a3);
            b3 = Vector256.FusedMultiplyAdd(r, v, b3);
            c3 = Vector256.FusedMultiplyAdd(r, z, c3);
        }
        y[0] = Finish(a0, w, x, i);
        y[1] = Finish(a1, w1, x, i);
        y[2] = Finish(a2, w2, x, i);
        y[3] = Finish(a3, w3, x, i);
        y += stride;
        y[0] = Finish(b0, w, p, i);
        y[1] = Finish(b1, w1, p, i);
        y[2] = Finish(b2, w2, p, i);
        y[3] = Finish(b3, w3, p, i);
        y += stride;
        y[0] = Finish(c0, w, q, i);
        y[1] = Finish(c1, w1, q, i);
        y[2] = Finish(c2, w2, q, i);
        y[3] = Finish(c3, w3, q, i);
    }

    // Adds up the eight partial sums and the products of the remaining inputs.
    private float Finish(Vector256<float> sum, byte* w, float* x, int i)
    {
        var rest = 0f;
        for (; i < Inputs; i++) rest += TElement.Single(w, i) * x[i];
        return Vector256.Sum(sum) + rest;
    }
}
