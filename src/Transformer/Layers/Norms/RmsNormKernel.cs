using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Transformer.Native;
using Transformer.Numerics;

namespace Transformer.Layers.Norms;

// N rows · C width

/// <summary>The arithmetic of <see cref="FusedRmsNorm"/> on the CPU, in fp32: one pass over each row forward and two backward.</summary>
internal static unsafe class RmsNormKernel
{
    private const long Grain = 64;    // rows that are worth a thread

    /// <summary>The arguments of the kernels. x, y and their gradients: [N, C]; weight: [C]; inverses: [N].</summary>
    public struct Work
    {
        public long Rows, Width;
        public float Epsilon;
        public float* X, Weight, Y, Inverses;
        public float* YGradient, XGradient;

        /// <summary>
        /// Each Grain rows add their part of the weight's gradient to their own line: [ceil(N / Grain), C], zeros before.
        /// </summary>
        public float* WeightGradients;
    }

    /// <summary>y = x r * weight with r = 1 / sqrt(mean(x^2) + epsilon), and r itself.</summary>
    public static void Forward(Work* work) => ParallelFor.Run(work->Rows, Grain, &Forward, work);

    /// <summary>The gradients of x and, line by line, of the weight.</summary>
    public static void Backward(Work* work) => ParallelFor.Run(Lines(work->Rows), 1, &Backward, work);

    /// <summary>The lines of <see cref="Work.WeightGradients"/>.</summary>
    public static long Lines(long rows) => (rows + Grain - 1) / Grain;

    [UnmanagedCallersOnly, MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Forward(long begin, long end, Work* w)
    {
        var C = w->Width;
        for (var row = begin; row < end; row++)
        {
            float* x = w->X + row * C, y = w->Y + row * C;
            var inverse = w->Inverses[row] = 1 / MathF.Sqrt(VectorMath.Dot(x, x, C) / C + w->Epsilon);
            long i = 0;
            for (; i + 8 <= C; i += 8) (Vector256.Load(x + i) * inverse * Vector256.Load(w->Weight + i)).Store(y + i);
            for (; i < C; i++) y[i] = x[i] * inverse * w->Weight[i];
        }
    }

    // dx = r (g - x r^2 mean(g x)) with g = dy * weight; dweight = sum over rows of dy x r.
    [UnmanagedCallersOnly, MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Backward(long begin, long end, Work* w)
    {
        var C = w->Width;
        for (var line = begin; line < end; line++)
        {
            var sums = w->WeightGradients + line * C;
            for (var row = line * Grain; row < Math.Min((line + 1) * Grain, w->Rows); row++)
            {
                float* x = w->X + row * C, dy = w->YGradient + row * C, dx = w->XGradient + row * C;
                var inverse = w->Inverses[row];
                var pull = WeightedProduct(dy, w->Weight, x, C) * inverse * inverse / C;
                long i = 0;
                for (; i + 8 <= C; i += 8)
                {
                    var (values, gradients) = (Vector256.Load(x + i), Vector256.Load(dy + i));
                    (inverse * (gradients * Vector256.Load(w->Weight + i) - values * pull)).Store(dx + i);
                    (Vector256.Load(sums + i) + gradients * values * inverse).Store(sums + i);
                }
                for (; i < C; i++)
                {
                    dx[i] = inverse * (dy[i] * w->Weight[i] - x[i] * pull);
                    sums[i] += dy[i] * x[i] * inverse;
                }
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float WeightedProduct(float* a, float* weight, float* b, long count)
    {
        float sum = 0;
        var sum8 = Vector256<float>.Zero;
        long i = 0;
        for (; i + 8 <= count; i += 8) sum8 += Vector256.Load(a + i) * Vector256.Load(weight + i) * Vector256.Load(b + i);
        for (; i < count; i++) sum += a[i] * weight[i] * b[i];
        return sum + Vector256.Sum(sum8);
    }
}
