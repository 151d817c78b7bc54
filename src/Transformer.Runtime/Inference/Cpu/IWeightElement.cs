using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Transformer.Inference.Cpu;

/// <summary>The format of one weight in memory, and its conversion to single precision, eight at a time.</summary>
internal unsafe interface IWeightElement
{
    /// <summary>The bytes of a weight.</summary>
    static abstract int Size { get; }

    /// <summary>Weights i .. i + 7.</summary>
    static abstract Vector256<float> Load(byte* weights, long i);

    /// <summary>Weight i.</summary>
    static abstract float Single(byte* weights, long i);

    /// <summary>Sets weight i, rounded to the nearest.</summary>
    static abstract void Store(float value, byte* weights, long i);
}

/// <summary>Single precision.</summary>
internal readonly unsafe struct Float32Element : IWeightElement
{
    public static int Size => sizeof(float);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Load(byte* weights, long i) => Vector256.Load((float*)weights + i);

    public static float Single(byte* weights, long i) => ((float*)weights)[i];

    public static void Store(float value, byte* weights, long i) => ((float*)weights)[i] = value;
}

/// <summary>bfloat16: the upper half of a single.</summary>
internal readonly unsafe struct BFloat16Element : IWeightElement
{
    public static int Size => sizeof(ushort);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Load(byte* weights, long i) =>
        (HalfPrecision.Widen(Vector128.Load((ushort*)weights + i)) << 16).AsSingle();

    public static float Single(byte* weights, long i) => BitConverter.UInt32BitsToSingle((uint)((ushort*)weights)[i] << 16);

    public static void Store(float value, byte* weights, long i)
    {
        var bits = BitConverter.SingleToUInt32Bits(value);
        ((ushort*)weights)[i] = (ushort)((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
    }
}

/// <summary>IEEE half precision.</summary>
internal readonly unsafe struct Float16Element : IWeightElement
{
    public static int Size => sizeof(ushort);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Load(byte* weights, long i) => HalfPrecision.ToSingle(Vector128.Load((ushort*)weights + i));

    public static float Single(byte* weights, long i) => (float)((Half*)weights)[i];

    // Numbers beyond the greatest half are clamped to it: an infinite weight would make every logit NaN.
    public static void Store(float value, byte* weights, long i) =>
        ((Half*)weights)[i] = (Half)Math.Clamp(value, -(float)Half.MaxValue, (float)Half.MaxValue);
}
