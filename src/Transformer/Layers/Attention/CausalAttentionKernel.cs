using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Transformer.Native;
using Transformer.Numerics;

namespace Transformer.Layers.Attention;

// B batch · T tokens · H heads · G key/value heads · D head width · R rows of a block

/// <summary>
/// The arithmetic of <see cref="CausalAttention"/> on the CPU, in fp32. A parallel piece is a key/value head of one sequence with the query
/// heads that share it; it fits the core's own cache. Rows are taken R at a time and are multiplied only with the keys that they see:
/// without a window about half of the products are never computed, and a window of W keys leaves W - 1 + R a block. Only the scores of one
/// block are in memory (Dao et al. 2022).
/// </summary>
internal static unsafe class CausalAttentionKernel
{
    private const long R = 48;

    /// <summary>
    /// The arguments of the kernels. q, z: [B, T, H, D]; k, v: [B, T, G, D]; cos, sin: [T, D/2] or null; logSums: [B, H, T]; spans: [B, H,
    /// T] or null, where rows see everything before them. The backward pass adds to the gradient of v.
    /// </summary>
    public struct Work
    {
        public long Batch, Tokens, Heads, KeyValueHeads, Width;
        public float Scale, Ramp;
        public float* Q, K, V, Cos, Sin, Spans, Z, LogSums;
        public float* ZGradient, QGradient, KGradient, VGradient, SpanGradients;
    }

    /// <summary>
    /// z = softmax(scale q k^T + causal mask) v with rotated q and k, within the window, and the logarithm of each row's denominator.
    /// </summary>
    public static void Forward(Work* work) => ParallelFor.Run(work->Batch * work->KeyValueHeads, 1, &Forward, work);

    /// <summary>The gradients of q, k, v and spans from that of z.</summary>
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
            Rotate(w, w->K + (b * T * G + g) * D, G * D, k);
            for (var h = g * (H / G); h < (g + 1) * (H / G); h++)
            {
                Rotate(w, w->Q + (b * T * H + h) * D, H * D, q);
                for (long first = 0; first < T; first += R)
                {
                    var rows = Math.Min(R, T - first);
                    var from = FirstKey(w, b, h, first, rows);
                    var keys = first + rows - from;
                    Blas.Product(rows, keys, D, w->Scale, q + first * D, D, false, k + from * D, D, true, 0, scores, keys);
                    for (long row = 0; row < rows; row++)
                        w->LogSums[(b * H + h) * T + first + row] = Keys(w, b, h, first + row, from, keys).Weigh(scores + row * keys);
                    var z = w->Z + ((b * T + first) * H + h) * D;
                    Blas.Product(rows, D, keys, 1, scores, keys, false, v + from * G * D, G * D, false, 0, z, H * D);
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
        var dscores = weights + R * T;
        for (var piece = begin; piece < end; piece++)
        {
            var (b, g) = (piece / G, piece % G);
            var v = w->V + (b * T * G + g) * D;
            var dv = w->VGradient + (b * T * G + g) * D;
            Rotate(w, w->K + (b * T * G + g) * D, G * D, k);
            new Span<float>(dk, (int)(T * D)).Clear();
            for (var h = g * (H / G); h < (g + 1) * (H / G); h++)
            {
                Rotate(w, w->Q + (b * T * H + h) * D, H * D, q);
                for (long first = 0; first < T; first += R)
                {
                    var rows = Math.Min(R, T - first);
                    var from = FirstKey(w, b, h, first, rows);
                    var keys = first + rows - from;
                    var z = w->Z + ((b * T + first) * H + h) * D;
                    var dz = w->ZGradient + ((b * T + first) * H + h) * D;
                    Blas.Product(rows, keys, D, w->Scale, q + first * D, D, false, k + from * D, D, true, 0, weights, keys);
                    Blas.Product(rows, keys, D, 1, dz, H * D, false, v + from * G * D, G * D, true, 0, dscores, keys);
                    for (long row = 0; row < rows; row++)
                    {
                        var at = (b * H + h) * T + first + row;
                        var dot = VectorMath.Dot(z + row * H * D, dz + row * H * D, D);
                        var dspan = Keys(w, b, h, first + row, from, keys)
                            .Gradients(weights + row * keys, dscores + row * keys, w->LogSums[at], dot, w->Scale);
                        if (w->SpanGradients is not null) w->SpanGradients[at] = dspan;
                    }
                    Blas.Product(keys, D, rows, 1, weights, keys, true, dz, H * D, false, 1, dv + from * G * D, G * D);
                    Blas.Product(rows, D, keys, 1, dscores, keys, false, k + from * D, D, false, 0, dq + first * D, D);
                    Blas.Product(keys, D, rows, 1, dscores, keys, true, q + first * D, D, false, 1, dk + from * D, D);
                }
                RotateBack(w, dq, w->QGradient + (b * T * H + h) * D, H * D);
            }
            RotateBack(w, dk, w->KGradient + (b * T * G + g) * D, G * D);
        }
        NativeMemory.AlignedFree(q);
    }

    // The first key that any row of a block reaches.
    private static long FirstKey(Work* w, long b, long h, long first, long rows)
    {
        if (w->Spans is null) return 0;
        var from = first;
        for (var t = first; t < first + rows; t++) from = Math.Min(from, t - Reach(w, b, h, t));
        return from;
    }

    // Which of a block's keys row t sees.
    private static VisibleKeys Keys(Work* w, long b, long h, long t, long from, long keys) => w->Spans is null
        ? new(0, t + 1, keys, 0, 0)
        : new(t - Reach(w, b, h, t) - from, t + 1 - from, keys, w->Spans[(b * w->Heads + h) * w->Tokens + t], w->Ramp);

    // How many tokens back row t sees; none where a span is out of its bounds.
    private static long Reach(Work* w, long b, long h, long t) =>
        Math.Clamp((long)(w->Spans[(b * w->Heads + h) * w->Tokens + t] + w->Ramp), 0, t);

    // The rows of one head, gathered and rotated by their positions' angles: [T, D].
    private static void Rotate(Work* w, float* from, long stride, float* to)
    {
        var half = w->Width / 2;
        for (long t = 0; t < w->Tokens; t++, from += stride, to += w->Width)
        {
            if (w->Cos is null) new Span<float>(from, (int)w->Width).CopyTo(new Span<float>(to, (int)w->Width));
            else Pairs(from, to, w->Cos + t * half, w->Sin + t * half, half, 1);
        }
    }

    // The gradient of a rotation is the inverse rotation.
    private static void RotateBack(Work* w, float* from, float* to, long stride)
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

    private static float* Allocate(long floats) => (float*)NativeMemory.AlignedAlloc((nuint)(floats * sizeof(float)), 64);
}
