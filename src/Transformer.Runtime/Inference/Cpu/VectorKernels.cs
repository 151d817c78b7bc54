using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Transformer.Numerics;

namespace Transformer.Inference.Cpu;

/// <summary>The operations on vectors between two matrix products, eight numbers at a time. Each sums in a fixed order.</summary>
internal static unsafe class VectorKernels
{
    /// <summary>y = y + a x</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void AddScaled(float a, float* x, float* y, int count)
    {
        var scale = Vector256.Create(a);
        var i = 0;
        for (; i + 8 <= count; i += 8) Vector256.FusedMultiplyAdd(scale, Vector256.Load(x + i), Vector256.Load(y + i)).Store(y + i);
        for (; i < count; i++) y[i] = MathF.FusedMultiplyAdd(a, x[i], y[i]);
    }

    /// <summary>y = a y + x</summary>
    public static void ScaleAndAdd(float a, float* y, float* x, int count)
    {
        var scale = Vector256.Create(a);
        var i = 0;
        for (; i + 8 <= count; i += 8) Vector256.FusedMultiplyAdd(scale, Vector256.Load(y + i), Vector256.Load(x + i)).Store(y + i);
        for (; i < count; i++) y[i] = MathF.FusedMultiplyAdd(a, y[i], x[i]);
    }

    /// <summary>y = x</summary>
    public static void Copy(float* x, float* y, int count) => new ReadOnlySpan<float>(x, count).CopyTo(new Span<float>(y, count));

    /// <summary>y = a x</summary>
    public static void Scale(float a, float* x, float* y, int count)
    {
        var i = 0;
        for (; i + 8 <= count; i += 8) (Vector256.Load(x + i) * a).Store(y + i);
        for (; i < count; i++) y[i] = a * x[i];
    }

    /// <summary>y = x / sqrt(mean(x^2) + epsilon) * weight</summary>
    public static void RmsNorm(float* x, float* weight, float epsilon, float* y, int count)
    {
        var inverse = 1 / MathF.Sqrt(VectorMath.Dot(x, x, count) / count + epsilon);
        var i = 0;
        for (; i + 8 <= count; i += 8) (Vector256.Load(x + i) * inverse * Vector256.Load(weight + i)).Store(y + i);
        for (; i < count; i++) y[i] = x[i] * inverse * weight[i];
    }

    /// <summary>y = (x - mean(x)) / sqrt(variance(x) + epsilon) * weight + bias</summary>
    public static void LayerNorm(float* x, float* weight, float* bias, float epsilon, float* y, int count)
    {
        var mean = Sum(x, count) / count;
        var i = 0;
        for (; i + 8 <= count; i += 8) (Vector256.Load(x + i) - Vector256.Create(mean)).Store(y + i);
        for (; i < count; i++) y[i] = x[i] - mean;
        var inverse = 1 / MathF.Sqrt(VectorMath.Dot(y, y, count) / count + epsilon);
        for (i = 0; i < count; i++) y[i] = y[i] * inverse * weight[i] + (bias is null ? 0 : bias[i]);
    }

    /// <summary>1 / (1 + e^-x)</summary>
    public static float Sigmoid(float x) => 1 / (1 + MathF.Exp(-x));

    /// <summary>ln(1 + e^x)</summary>
    public static float Softplus(float x) => Math.Max(x, 0) + MathF.Log(1 + MathF.Exp(-MathF.Abs(x)));

    private static float Sum(float* x, int count)
    {
        var (sum8, sum, i) = (Vector256<float>.Zero, 0f, 0);
        for (; i + 8 <= count; i += 8) sum8 += Vector256.Load(x + i);
        for (; i < count; i++) sum += x[i];
        return Vector256.Sum(sum8) + sum;
    }
}
