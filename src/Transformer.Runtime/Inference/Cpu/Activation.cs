using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Transformer.Numerics;

namespace Transformer.Inference.Cpu;

/// <summary>A function of each hidden value of a feed-forward layer, eight at once.</summary>
internal interface IActivation
{
    /// <summary>f(x)</summary>
    static abstract Vector256<float> Of(Vector256<float> x);
}

/// <summary>max(x, 0)</summary>
internal readonly struct Relu : IActivation
{
    public static Vector256<float> Of(Vector256<float> x) => Vector256.Max(x, Vector256<float>.Zero);
}

/// <summary>max(x, 0)^2</summary>
internal readonly struct ReluSquared : IActivation
{
    public static Vector256<float> Of(Vector256<float> x) => Relu.Of(x) * Relu.Of(x);
}

/// <summary>x / (1 + e^-x)</summary>
internal readonly struct Silu : IActivation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Of(Vector256<float> x) => x / (Vector256<float>.One + VectorMath.Exp(-x));
}

/// <summary>x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))), which is x / (1 + e^(-2 ...)).</summary>
internal readonly struct GeluTanh : IActivation
{
    public static Vector256<float> Of(Vector256<float> x) =>
        x / (Vector256<float>.One + VectorMath.Exp(x * (x * x * -0.0713548163f + Vector256.Create(-1.595769122f))));
}

/// <summary>x Phi(x), with the error function to 1.5e-7 (Abramowitz and Stegun 1964, 7.1.26).</summary>
internal readonly struct Gelu : IActivation
{
    public static Vector256<float> Of(Vector256<float> x)
    {
        var z = Vector256.Abs(x) * 0.70710678f;
        var t = Vector256<float>.One / (Vector256<float>.One + z * 0.3275911f);
        var series = ((t * 1.061405429f + Vector256.Create(-1.453152027f)) * t) + Vector256.Create(1.421413741f);
        series = t * ((series * t + Vector256.Create(-0.284496736f)) * t + Vector256.Create(0.254829592f));
        var tail = series * VectorMath.Exp(-z * z) * 0.5f;    // Phi(-|x|)
        return x * Vector256.ConditionalSelect(Vector256.LessThan(x, Vector256<float>.Zero), tail, Vector256<float>.One - tail);
    }
}

/// <summary>Activations over whole vectors.</summary>
internal static unsafe class Activation
{
    /// <summary>y = f(x), or f(x) factor where there are factors.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Apply<TActivation>(float* x, float* factors, float* y, int count) where TActivation : struct, IActivation
    {
        var i = 0;
        for (; i + 8 <= count; i += 8)
        {
            var value = TActivation.Of(Vector256.Load(x + i));
            (factors is null ? value : value * Vector256.Load(factors + i)).Store(y + i);
        }
        for (; i < count; i++)
        {
            var value = TActivation.Of(Vector256.Create(x[i]))[0];
            y[i] = factors is null ? value : value * factors[i];
        }
    }
}
