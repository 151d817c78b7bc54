using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Transformer.Native;

namespace Transformer.Layers.Attention;

// B batch · T tokens · H heads · G key/value heads · D head width · R rows of a block

/// <summary>
/// The arithmetic of <see cref="CausalAttention"/> on the CPU, in fp32. One piece of work is a key/value head of one sequence with the query heads that
/// share it; its numbers fit the core's own cache. Rows are taken R at a time and meet only the keys that they see, so about half of the products are
/// never computed; the scores of a block are the only ones in memory (Dao et al. 2022).
/// </summary>
internal static unsafe class CausalAttentionKernel
{
    private const long R = 48;

    /// <summary>What the kernels work on. q, z: [B, T, H, D]; k, v: [B, T, G, D]; cos, sin: [T, D/2] or null; logSums: [B, H, T].</summary>
    public struct Work
    {
        public long Batch, Tokens, Heads, KeyValueHeads, Width;
        public float Scale;
        public float* Q, K, V, Cos, Sin, Z, LogSums;
        public float* ZGradient, QGradient, KGradient, VGradient;
    }

    /// <summary>z = softmax(scale q k^T + causal mask) v with turned q and k, and the logarithm of each row's denominator.</summary>
    public static void Forward(Work* work) => ParallelFor.Run(work->Batch * work->KeyValueHeads, 1, &Forward, work);

    /// <summary>The gradients of q, k and v from that of z.</summary>
    public static void Backward(Work* work) => ParallelFor.Run(work->Batch * work->KeyValueHeads, 1, &Backward, work);

    [UnmanagedCallersOnly, MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Forward(long begin, long end, Work* w)
    {
        var (T, H, G, D) = (w->Tokens, w->Heads, w->KeyValueHeads, w->Width);
        var q = Allocate(2 * T * D + R * T);
        var k = q + T * D;
        var scores = k + T * D;
        for (var piece = begin; piece < end; piece++)
        {
            var (b, g) = (piece / G, piece % G);
            var v = w->V + (b * T * G + g) * D;
            Turn(w, w->K + (b * T * G + g) * D, G * D, k);
            for (var h = g * (H / G); h < (g + 1) * (H / G); h++)
            {
                Turn(w, w->Q + (b * T * H + h) * D, H * D, q);
                for (long first = 0; first < T; first += R)
                {
                    var rows = Math.Min(R, T - first);
                    var keys = first + rows;
                    Blas.Product(rows, keys, D, w->Scale, q + first * D, D, false, k, D, true, 0, scores, keys);
                    for (long row = 0; row < rows; row++)
                        w->LogSums[(b * H + h) * T + first + row] = Softmax(scores + row * keys, first + row + 1, keys);
                    Blas.Product(rows, D, keys, 1, scores, keys, false, v, G * D, false, 0, w->Z + ((b * T + first) * H + h) * D, H * D);
                }
            }
        }
        NativeMemory.AlignedFree(q);
    }

    [UnmanagedCallersOnly, MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Backward(long begin, long end, Work* w)
    {
        var (T, H, G, D) = (w->Tokens, w->Heads, w->KeyValueHeads, w->Width);
        var q = Allocate(4 * T * D + 2 * R * T);
        var k = q + T * D;
        var dq = k + T * D;
        var dk = dq + T * D;
        var weights = dk + T * D;
        var slopes = weights + R * T;
        for (var piece = begin; piece < end; piece++)
        {
            var (b, g) = (piece / G, piece % G);
            var v = w->V + (b * T * G + g) * D;
            var dv = w->VGradient + (b * T * G + g) * D;
            Turn(w, w->K + (b * T * G + g) * D, G * D, k);
            for (var h = g * (H / G); h < (g + 1) * (H / G); h++)
            {
                var shared = h > g * (H / G);    // k and v have gradients of an earlier query head already
                Turn(w, w->Q + (b * T * H + h) * D, H * D, q);

                // The last rows see all keys, so they come first and write every row of dk and dv; the others add.
                for (var first = (T - 1) / R * R; first >= 0; first -= R)
                {
                    var rows = Math.Min(R, T - first);
                    var keys = first + rows;
                    var add = shared || first + R < T ? 1 : 0;
                    var z = w->Z + ((b * T + first) * H + h) * D;
                    var dz = w->ZGradient + ((b * T + first) * H + h) * D;
                    Blas.Product(rows, keys, D, w->Scale, q + first * D, D, false, k, D, true, 0, weights, keys);
                    Blas.Product(rows, keys, D, 1, dz, H * D, false, v, G * D, true, 0, slopes, keys);
                    for (long row = 0; row < rows; row++)
                    {
                        var logSum = w->LogSums[(b * H + h) * T + first + row];
                        var dot = Kernels.Dot(z + row * H * D, dz + row * H * D, D);
                        SoftmaxGradient(weights + row * keys, slopes + row * keys, first + row + 1, keys, logSum, dot, w->Scale);
                    }
                    Blas.Product(keys, D, rows, 1, weights, keys, true, dz, H * D, false, add, dv, G * D);
                    Blas.Product(rows, D, keys, 1, slopes, keys, false, k, D, false, 0, dq + first * D, D);
                    Blas.Product(keys, D, rows, 1, slopes, keys, true, q + first * D, D, false, add, dk, D);
                }
                TurnBack(w, dq, w->QGradient + (b * T * H + h) * D, H * D);
            }
            TurnBack(w, dk, w->KGradient + (b * T * G + g) * D, G * D);
        }
        NativeMemory.AlignedFree(q);
    }

    // The rows of one head, gathered and turned by their positions' angles: [T, D].
    private static void Turn(Work* w, float* from, long stride, float* to)
    {
        var half = w->Width / 2;
        for (long t = 0; t < w->Tokens; t++, from += stride, to += w->Width)
        {
            if (w->Cos is null) new Span<float>(from, (int)w->Width).CopyTo(new Span<float>(to, (int)w->Width));
            else Pairs(from, to, w->Cos + t * half, w->Sin + t * half, half, 1);
        }
    }

    // The gradient of a turn is the turn back.
    private static void TurnBack(Work* w, float* from, float* to, long stride)
    {
        var half = w->Width / 2;
        for (long t = 0; t < w->Tokens; t++, from += w->Width, to += stride)
        {
            if (w->Cos is null) new Span<float>(from, (int)w->Width).CopyTo(new Span<float>(to, (int)w->Width));
            else Pairs(from, to, w->Cos + t * half, w->Sin + t * half, half, -1);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Pairs(float* from, float* to, float* cos, float* sin, long half, float direction)
    {
        long i = 0;
        for (; i + 8 <= half; i += 8)
        {
            var (a, b) = (Vector256.Load(from + i), Vector256.Load(from + half + i));
            var (c, s) = (Vector256.Load(cos + i), Vector256.Load(sin + i) * direction);
            (a * c - b * s).Store(to + i);
            (b * c + a * s).Store(to + half + i);
        }
        for (; i < half; i++)
        {
            var (a, b, s) = (from[i], from[half + i], sin[i] * direction);
            to[i] = a * cos[i] - b * s;
            to[half + i] = b * cos[i] + a * s;
        }
    }

    // Turns the first seen scores of a row into weights and the others into zeros. Returns ln sum exp of the scores.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float Softmax(float* row, long seen, long keys)
    {
        var greatest = float.NegativeInfinity;
        var greatest8 = Vector256.Create(greatest);
        long i = 0;
        for (; i + 8 <= seen; i += 8) greatest8 = Vector256.Max(greatest8, Vector256.Load(row + i));
        for (; i < seen; i++) greatest = Math.Max(greatest, row[i]);
        for (var lane = 0; lane < 8; lane++) greatest = Math.Max(greatest, greatest8[lane]);

        float sum = 0;
        var sum8 = Vector256<float>.Zero;
        for (i = 0; i + 8 <= seen; i += 8)
        {
            var weight = VectorMath.Exp(Vector256.Load(row + i) - Vector256.Create(greatest));
            weight.Store(row + i);
            sum8 += weight;
        }
        for (; i < seen; i++) sum += row[i] = MathF.Exp(row[i] - greatest);
        sum += Vector256.Sum(sum8);

        var share = 1 / sum;
        for (i = 0; i + 8 <= seen; i += 8) (Vector256.Load(row + i) * share).Store(row + i);
        for (; i < seen; i++) row[i] *= share;
        new Span<float>(row + seen, (int)(keys - seen)).Clear();
        return greatest + MathF.Log(sum);
    }

    // Scores become weights p again, and slopes dz v^T become the gradient of the scores, p (dz v^T - dz z), times the scale.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void SoftmaxGradient(float* scores, float* slopes, long seen, long keys, float logSum, float dot, float scale)
    {
        long i = 0;
        for (; i + 8 <= seen; i += 8)
        {
            var weight = VectorMath.Exp(Vector256.Load(scores + i) - Vector256.Create(logSum));
            weight.Store(scores + i);
            (weight * (Vector256.Load(slopes + i) - Vector256.Create(dot)) * scale).Store(slopes + i);
        }
        for (; i < seen; i++)
        {
            scores[i] = MathF.Exp(scores[i] - logSum);
            slopes[i] = scores[i] * (slopes[i] - dot) * scale;
        }
        new Span<float>(scores + seen, (int)(keys - seen)).Clear();
        new Span<float>(slopes + seen, (int)(keys - seen)).Clear();
    }

    private static float* Allocate(long floats) => (float*)NativeMemory.AlignedAlloc((nuint)(floats * sizeof(float)), 64);
}
