using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Transformer.Generation.Decoding;

/// <summary>Thirty-two products of 8-bit integers, added up in eight sums: exact on every processor, by one instruction where there is one.</summary>
internal static class IntegerDot
{
    /// <summary>Eight sums of four products each; which four depends on the processor, their total does not.</summary>
    /// <param name="w">0 .. 255</param>
    /// <param name="x">-127 .. 127</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<int> Of(Vector256<byte> w, Vector256<sbyte> x)
    {
        if (AvxVnni.IsSupported) return AvxVnni.MultiplyWideningAndAdd(Vector256<int>.Zero, w, x);
        if (!Avx2.IsSupported) return Portable(w, x);
        var low = Avx2.MultiplyAddAdjacent(Avx2.ConvertToVector256Int16(w.GetLower()), Avx2.ConvertToVector256Int16(x.GetLower()));
        return low + Avx2.MultiplyAddAdjacent(Avx2.ConvertToVector256Int16(w.GetUpper()), Avx2.ConvertToVector256Int16(x.GetUpper()));
    }

    /// <summary>The same without instructions of one kind of processor.</summary>
    public static Vector256<int> Portable(Vector256<byte> w, Vector256<sbyte> x)
    {
        var (w0, w1) = Vector256.Widen(w);
        var (x0, x1) = Vector256.Widen(x);
        var ((a0, a1), (a2, a3)) = (Vector256.Widen(w0.AsInt16()), Vector256.Widen(w1.AsInt16()));
        var ((b0, b1), (b2, b3)) = (Vector256.Widen(x0), Vector256.Widen(x1));
        return a0 * b0 + a1 * b1 + a2 * b2 + a3 * b3;
    }
}
