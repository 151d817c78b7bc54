using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Transformer.Numerics;

namespace Transformer.Inference.Cpu;

// S keys · D head width

/// <summary>
/// The loops of attention, for one query and for four at a time. Both compute a query's numbers by the same operations in the same order: a
/// score as two sums, over the even and the odd components, and a mean by adding one value after the other.
/// </summary>
internal static unsafe class AttentionMath
{
    /// <summary>The number of queries that are computed at once.</summary>
    public const int Neighbours = 4;

    private const int Lanes = KeyValueState.Lanes;

    /// <summary>scale q k_s for neighbouring keys. Up to seven numbers before the first and behind the last are overwritten.</summary>
    /// <param name="q">[D]</param>
    /// <param name="scale">What the products are multiplied by.</param>
    /// <param name="keys">[S / 8, D, 8]</param>
    /// <param name="width">D.</param>
    /// <param name="first">The first key.</param>
    /// <param name="count">How many.</param>
    /// <param name="scores">Where the score of the first goes.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Scores(float* q, float scale, float* keys, int width, int first, int count, float* scores)
    {
        scores -= first % Lanes;
        for (var slot = first / Lanes * Lanes; slot < first + count; slot += Lanes, scores += Lanes)
        {
            var k = keys + (long)slot * width;
            var (even, odd) = (Vector256<float>.Zero, Vector256<float>.Zero);
            var d = 0;
            for (; d + 2 <= width; d += 2, k += 2 * Lanes)
            {
                even = Vector256.FusedMultiplyAdd(Vector256.Create(q[d]), Vector256.Load(k), even);
                odd = Vector256.FusedMultiplyAdd(Vector256.Create(q[d + 1]), Vector256.Load(k + Lanes), odd);
            }
            if (d < width) even = Vector256.FusedMultiplyAdd(Vector256.Create(q[d]), Vector256.Load(k), even);
            ((even + odd) * scale).Store(scores);
        }
    }

    /// <summary>The same for four queries.</summary>
    /// <param name="q">[4, stride], of which D components.</param>
    /// <param name="stride">From one query to the next.</param>
    /// <param name="scale">What the products are multiplied by.</param>
    /// <param name="keys">[S / 8, D, 8]</param>
    /// <param name="width">D.</param>
    /// <param name="first">The first key.</param>
    /// <param name="count">How many.</param>
    /// <param name="scores">Where the first query's score of the first key goes.</param>
    /// <param name="row">From one query's scores to the next's.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Scores(float* q, int stride, float scale, float* keys, int width, int first, int count, float* scores, int row)
    {
        var q1 = q + stride;
        var q2 = q1 + stride;
        var q3 = q2 + stride;
        scores -= first % Lanes;
        for (var slot = first / Lanes * Lanes; slot < first + count; slot += Lanes, scores += Lanes)
        {
            var k = keys + (long)slot * width;
            var (even0, even1, even2, even3) = (Vector256<float>.Zero, Vector256<float>.Zero, Vector256<float>.Zero, Vector256<float>.Zero);
            var (odd0, odd1, odd2, odd3) = (Vector256<float>.Zero, Vector256<float>.Zero, Vector256<float>.Zero, Vector256<float>.Zero);
            var d = 0;
            for (; d + 2 <= width; d += 2, k += 2 * Lanes)
            {
                var (even, odd) = (Vector256.Load(k), Vector256.Load(k + Lanes));
                even0 = Vector256.FusedMultiplyAdd(Vector256.Create(q[d]), even, even0);
                even1 = Vector256.FusedMultiplyAdd(Vector256.Create(q1[d]), even, even1);
                even2 = Vector256.FusedMultiplyAdd(Vector256.Create(q2[d]), even, even2);
                even3 = Vector256.FusedMultiplyAdd(Vector256.Create(q3[d]), even, even3);
                odd0 = Vector256.FusedMultiplyAdd(Vector256.Create(q[d + 1]), odd, odd0);
                odd1 = Vector256.FusedMultiplyAdd(Vector256.Create(q1[d + 1]), odd, odd1);
                odd2 = Vector256.FusedMultiplyAdd(Vector256.Create(q2[d + 1]), odd, odd2);
                odd3 = Vector256.FusedMultiplyAdd(Vector256.Create(q3[d + 1]), odd, odd3);
            }
            if (d < width)
            {
                var even = Vector256.Load(k);
                even0 = Vector256.FusedMultiplyAdd(Vector256.Create(q[d]), even, even0);
                even1 = Vector256.FusedMultiplyAdd(Vector256.Create(q1[d]), even, even1);
                even2 = Vector256.FusedMultiplyAdd(Vector256.Create(q2[d]), even, even2);
                even3 = Vector256.FusedMultiplyAdd(Vector256.Create(q3[d]), even, even3);
            }
            ((even0 + odd0) * scale).Store(scores);
            ((even1 + odd1) * scale).Store(scores + row);
            ((even2 + odd2) * scale).Store(scores + 2 * row);
            ((even3 + odd3) * scale).Store(scores + 3 * row);
        }
    }

    /// <summary>Replaces scores by e^(score - the greatest).</summary>
    /// <returns>Their sum.</returns>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static float Exponentials(float* scores, int count)
    {
        var (greatest8, greatest, i) = (Vector256.Create(float.NegativeInfinity), float.NegativeInfinity, 0);
        for (; i + 8 <= count; i += 8) greatest8 = Vector256.Max(greatest8, Vector256.Load(scores + i));
        for (; i < count; i++) greatest = Math.Max(greatest, scores[i]);
        for (var lane = 0; lane < 8; lane++) greatest = Math.Max(greatest, greatest8[lane]);
        (var sum8, var sum, i) = (Vector256<float>.Zero, 0f, 0);
        for (; i + 8 <= count; i += 8)
        {
            var weights = VectorMath.Exp(Vector256.Load(scores + i) - Vector256.Create(greatest));
            weights.Store(scores + i);
            sum8 += weights;
        }
        for (; i < count; i++) sum += scores[i] = MathF.Exp(scores[i] - greatest);
        return Vector256.Sum(sum8) + sum;
    }

    /// <summary>
    /// mean = mean + sum over s of weight_s v_s. Thirty-two components at a time stay in registers while all values are read.
    /// </summary>
    /// <param name="weights">[S]</param>
    /// <param name="values">[S, D]</param>
    /// <param name="count">S.</param>
    /// <param name="mean">[D]</param>
    /// <param name="width">D.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void AddValues(float* weights, float* values, int count, float* mean, int width)
    {
        var d = 0;
        for (; d + 32 <= width; d += 32)
        {
            var (a, b, c, e) = (
                Vector256.Load(mean + d), Vector256.Load(mean + d + 8), Vector256.Load(mean + d + 16), Vector256.Load(mean + d + 24));
            var value = values + d;
            for (var key = 0; key < count; key++, value += width)
            {
                var weight = Vector256.Create(weights[key]);
                a = Vector256.FusedMultiplyAdd(weight, Vector256.Load(value), a);
                b = Vector256.FusedMultiplyAdd(weight, Vector256.Load(value + 8), b);
                c = Vector256.FusedMultiplyAdd(weight, Vector256.Load(value + 16), c);
                e = Vector256.FusedMultiplyAdd(weight, Vector256.Load(value + 24), e);
            }
            a.Store(mean + d);
            b.Store(mean + d + 8);
            c.Store(mean + d + 16);
            e.Store(mean + d + 24);
        }
        if (d == width) return;
        for (var key = 0; key < count; key++, values += width) VectorKernels.AddScaled(weights[key], values + d, mean + d, width - d);
    }

    /// <summary>The same for the weights and means of four queries, sixteen components of each at a time.</summary>
    /// <param name="weights">[4, row], of which S.</param>
    /// <param name="row">From one query's weights to the next's.</param>
    /// <param name="values">[S, D]</param>
    /// <param name="count">S.</param>
    /// <param name="mean">[4, stride], of which D components.</param>
    /// <param name="stride">From one query's mean to the next's.</param>
    /// <param name="width">D.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void AddValues(float* weights, int row, float* values, int count, float* mean, int stride, int width)
    {
        var d = 0;
        for (; d + 16 <= width; d += 16)
        {
            var (m0, m1) = (Load(mean + d), Load(mean + stride + d));
            var (m2, m3) = (Load(mean + 2 * stride + d), Load(mean + 3 * stride + d));
            var value = values + d;
            for (var key = 0; key < count; key++, value += width)
            {
                var v = Load(value);
                m0 = Add(weights[key], v, m0);
                m1 = Add(weights[row + key], v, m1);
                m2 = Add(weights[2 * row + key], v, m2);
                m3 = Add(weights[3 * row + key], v, m3);
            }
            Store(m0, mean + d);
            Store(m1, mean + stride + d);
            Store(m2, mean + 2 * stride + d);
            Store(m3, mean + 3 * stride + d);
        }
        if (d == width) return;
        for (var query = 0; query < Neighbours; query++)
            for (var key = 0; key < count; key++)
                VectorKernels.AddScaled(weights[query * row + key], values + (long)key * width + d, mean + query * stride + d, width - d);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static (Vector256<float> Low, Vector256<float> High) Load(float* x) => (Vector256.Load(x), Vector256.Load(x + 8));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static (Vector256<float> Low, Vector256<float> High) Add(
        float weight, (Vector256<float> Low, Vector256<float> High) v, (Vector256<float> Low, Vector256<float> High) sum)
    {
        var factor = Vector256.Create(weight);
        return (Vector256.FusedMultiplyAdd(factor, v.Low, sum.Low), Vector256.FusedMultiplyAdd(factor, v.High, sum.High));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store((Vector256<float> Low, Vector256<float> High) v, float* x)
    {
        v.Low.Store(x);
        v.High.Store(x + 8);
    }
}
