using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Transformer.Numerics;

/// <summary>Vectorised functions of eight numbers for our kernels.</summary>
internal static class VectorMath
{
    /// <summary>
    /// e to the power of each x, to about two units in the last place; below -87.3 it stays at the least normal number, and from 88.4 on it
    /// is infinite. .NET's own goes through double precision and takes four times as long.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Exp(Vector256<float> x)
    {
        // x = n ln 2 + r with |r| <= ln 2 / 2, so e^x = 2^n e^r; ln 2 in two parts, the first exact in products with small n.
        x = Vector256.Min(Vector256.Max(x, Vector256.Create(-87.3f)), Vector256.Create(89f));
        var n = Vector256.Floor(Vector256.FusedMultiplyAdd(x, Vector256.Create(1.44269504f), Vector256.Create(0.5f)));
        var r = Vector256.FusedMultiplyAdd(n, Vector256.Create(-0.693359375f), x);
        r = Vector256.FusedMultiplyAdd(n, Vector256.Create(2.12194440e-4f), r);

        // The Taylor series of e^r to the seventh power, from the back.
        var e = Vector256.Create(1 / 5040f);
        e = Vector256.FusedMultiplyAdd(e, r, Vector256.Create(1 / 720f));
        e = Vector256.FusedMultiplyAdd(e, r, Vector256.Create(1 / 120f));
        e = Vector256.FusedMultiplyAdd(e, r, Vector256.Create(1 / 24f));
        e = Vector256.FusedMultiplyAdd(e, r, Vector256.Create(1 / 6f));
        e = Vector256.FusedMultiplyAdd(e, r, Vector256.Create(0.5f));
        e = Vector256.FusedMultiplyAdd(e, r, Vector256<float>.One);
        e = Vector256.FusedMultiplyAdd(e, r, Vector256<float>.One);

        // 2^n by its bits.
        return e * ((Vector256.ConvertToInt32(n) + Vector256.Create(127)) << 23).AsSingle();
    }

    /// <summary>The sum of a_i b_i.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static unsafe float Dot(float* a, float* b, long count)
    {
        float sum = 0;
        var sum8 = Vector256<float>.Zero;
        long i = 0;
        for (; i + 8 <= count; i += 8) sum8 += Vector256.Load(a + i) * Vector256.Load(b + i);
        for (; i < count; i++) sum += a[i] * b[i];
        return sum + Vector256.Sum(sum8);
    }
}
