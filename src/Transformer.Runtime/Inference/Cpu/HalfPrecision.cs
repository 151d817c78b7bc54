using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Transformer.Inference.Cpu;

/// <summary>Eight 16-bit floating-point numbers at once; .NET has no instruction for them.</summary>
internal static class HalfPrecision
{
    // A half's exponent is biased by 15, a single's by 127: a half's bits, shifted into those of a single, are a number 2^112 times too
    // small, also for subnormal ones.
    private const float Rebias = 5.192296858534828e33f;

    /// <summary>Finite halves as singles, exactly.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> ToSingle(Vector128<ushort> halves)
    {
        var bits = Widen(halves);
        var sign = (bits & Vector256.Create(0x8000u)) << 16;
        var magnitude = ((bits & Vector256.Create(0x7FFFu)) << 13).AsSingle() * Rebias;
        return (magnitude.AsUInt32() | sign).AsSingle();
    }

    /// <summary>Widens sixteen bits to thirty-two.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<uint> Widen(Vector128<ushort> bits) => Vector256.Create(Vector128.WidenLower(bits), Vector128.WidenUpper(bits));
}
