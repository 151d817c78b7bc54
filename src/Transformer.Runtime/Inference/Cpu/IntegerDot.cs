using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Transformer.Inference.Cpu;

/// <summary>
/// Thirty-two products of 8-bit integers, added to eight sums: exact on every processor, by one instruction where there is one.
/// </summary>
internal static class IntegerDot
{
    /// <summary>Adds to each of eight sums the products of its four neighbouring numbers.</summary>
    /// <param name="sums">The sums so far.</param>
    /// <param name="w">0 .. 255</param>
    /// <param name="x">-127 .. 127</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<int> Add(Vector256<int> sums, Vector256<byte> w, Vector256<sbyte> x)
    {
        if (AvxVnni.IsSupported) return AvxVnni.MultiplyWideningAndAdd(sums, w, x);
        if (!Avx2.IsSupported) return Portable(sums, w, x);
        // The products of even numbers, then of odd ones: as 8-bit pairs their sums would not fit 16 bits.
        var even = Avx2.MultiplyAddAdjacent((w.AsUInt16() & Vector256.Create((ushort)0xFF)).AsInt16(), x.AsInt16() << 8 >> 8);
        return sums + even + Avx2.MultiplyAddAdjacent((w.AsUInt16() >> 8).AsInt16(), x.AsInt16() >> 8);
    }

    /// <summary>The same without processor-specific instructions.</summary>
    public static Vector256<int> Portable(Vector256<int> sums, Vector256<byte> w, Vector256<sbyte> x)
    {
        for (var k = 0; k < 4; k++) sums += (w.AsInt32() >> 8 * k & Vector256.Create(0xFF)) * (x.AsInt32() << 24 - 8 * k >> 24);
        return sums;
    }
}
