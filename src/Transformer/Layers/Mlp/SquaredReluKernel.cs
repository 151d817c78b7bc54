using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Transformer.Native;

namespace Transformer.Layers.Mlp;

/// <summary>The arithmetic of <see cref="SquaredRelu"/> on the CPU, in fp32: one pass forward and one backward.</summary>
internal static unsafe class SquaredReluKernel
{
    private const long Grain = 8192;    // numbers that are worth a thread

    /// <summary>The arguments of the kernels; all of one length.</summary>
    public struct Work
    {
        public long Count;
        public float* X, Y;
        public float* YGradient, XGradient;
    }

    /// <summary>y = max(x, 0)^2.</summary>
    public static void Forward(Work* work) => ParallelFor.Run(work->Count, Grain, &Forward, work);

    /// <summary>dx = 2 max(x, 0) dy.</summary>
    public static void Backward(Work* work) => ParallelFor.Run(work->Count, Grain, &Backward, work);

    [UnmanagedCallersOnly, MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Forward(long begin, long end, Work* w)
    {
        var i = begin;
        for (; i + 8 <= end; i += 8)
        {
            var positive = Vector256.Max(Vector256.Load(w->X + i), Vector256<float>.Zero);
            (positive * positive).Store(w->Y + i);
        }
        for (; i < end; i++) w->Y[i] = Math.Max(w->X[i], 0) * Math.Max(w->X[i], 0);
    }

    [UnmanagedCallersOnly, MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Backward(long begin, long end, Work* w)
    {
        var i = begin;
        for (; i + 8 <= end; i += 8)
        {
            var positive = Vector256.Max(Vector256.Load(w->X + i), Vector256<float>.Zero);
            ((positive + positive) * Vector256.Load(w->YGradient + i)).Store(w->XGradient + i);
        }
        for (; i < end; i++) w->XGradient[i] = 2 * Math.Max(w->X[i], 0) * w->YGradient[i];
    }
}
