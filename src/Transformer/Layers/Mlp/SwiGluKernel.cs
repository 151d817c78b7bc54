using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Transformer.Native;
using Transformer.Numerics;

namespace Transformer.Layers.Mlp;

/// <summary>The arithmetic of <see cref="SwiGlu"/> on the CPU, in fp32: one pass forward and one backward.</summary>
internal static unsafe class SwiGluKernel
{
    private const long Grain = 4096;    // numbers that are worth a thread

    /// <summary>The arguments of the kernels; all of one length.</summary>
    public struct Work
    {
        public long Count;
        public float* Gate, Up, Hidden;
        public float* HiddenGradient, GateGradient, UpGradient;
    }

    /// <summary>hidden = silu(gate) up.</summary>
    public static void Forward(Work* work) => ParallelFor.Run(work->Count, Grain, &Forward, work);

    /// <summary>The gradients of gate and up.</summary>
    public static void Backward(Work* work) => ParallelFor.Run(work->Count, Grain, &Backward, work);

    [UnmanagedCallersOnly, MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Forward(long begin, long end, Work* w)
    {
        var i = begin;
        for (; i + 8 <= end; i += 8)
        {
            var gate = Vector256.Load(w->Gate + i);
            (gate * Sigmoid(gate) * Vector256.Load(w->Up + i)).Store(w->Hidden + i);
        }
        for (; i < end; i++) w->Hidden[i] = w->Gate[i] * Sigmoid(w->Gate[i]) * w->Up[i];
    }

    // With s = sigmoid(gate): d silu / d gate = s (1 + gate (1 - s)).
    [UnmanagedCallersOnly, MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Backward(long begin, long end, Work* w)
    {
        var i = begin;
        for (; i + 8 <= end; i += 8)
        {
            var (gate, gradient) = (Vector256.Load(w->Gate + i), Vector256.Load(w->HiddenGradient + i));
            var s = Sigmoid(gate);
            (gradient * gate * s).Store(w->UpGradient + i);
            (gradient * Vector256.Load(w->Up + i) * s * (Vector256<float>.One + gate * (Vector256<float>.One - s)))
                .Store(w->GateGradient + i);
        }
        for (; i < end; i++)
        {
            var (gate, gradient, s) = (w->Gate[i], w->HiddenGradient[i], Sigmoid(w->Gate[i]));
            w->UpGradient[i] = gradient * gate * s;
            w->GateGradient[i] = gradient * w->Up[i] * s * (1 + gate * (1 - s));
        }
    }

    private static Vector256<float> Sigmoid(Vector256<float> x) => Vector256<float>.One / (Vector256<float>.One + VectorMath.Exp(-x));

    private static float Sigmoid(float x) => 1 / (1 + MathF.Exp(-x));
}
