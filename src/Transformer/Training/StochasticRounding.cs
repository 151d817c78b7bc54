using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Transformer.Native;
using static TorchSharp.torch;

namespace Transformer.Training;

/// <summary>
/// Stochastic rounding from fp32 to bf16 (Gupta et al. 2015, arXiv:1502.02551): up or down at random, so that the expected value is the
/// number. Rounding to nearest would lose every change of less than half a unit of the eighth bit, and a running mean that changes by a
/// thousandth per step would not move. The random bits are a hash of the number's index and a seed.
/// </summary>
internal static unsafe class StochasticRounding
{
    private const long Grain = 8192;                 // numbers that are worth a thread
    private const uint LowerHalf = 0xffff;           // the bits of a float that bf16 lacks

    /// <summary>Rounds numbers into a buffer.</summary>
    /// <param name="from">[n], fp32.</param>
    /// <param name="to">[n], bf16.</param>
    /// <param name="seed">Different for each rounding of the same index.</param>
    /// <param name="first">The index of the first number.</param>
    public static void Store(Tensor from, Tensor to, long seed, long first)
    {
        if (!Kernels.Supports(from))
        {
            to.copy_(Explicit(from, seed, first));
            return;
        }
        var work = new Work { Seed = (uint)seed, First = first, From = (uint*)Aten.DataPointer(from), To = (ushort*)Aten.DataPointer(to) };
        ParallelFor.Run(from.numel(), Grain, &Round, &work);
        GC.KeepAlive(from);
        GC.KeepAlive(to);
    }

    /// <summary>
    /// The same with libtorch's operators, on any device: a random 16-bit number is added before the lower 16 bits are cut off.
    /// </summary>
    /// <param name="x">[n], fp32.</param>
    /// <param name="seed">As for <see cref="Store"/>.</param>
    /// <param name="first">The index of the first number.</param>
    /// <returns>[n], bf16.</returns>
    public static Tensor Explicit(Tensor x, long seed, long first)
    {
        using var scope = NewDisposeScope();
        var h = arange(first, first + x.numel(), ScalarType.Int64, x.device) * 0x9E3779B1L + (uint)seed * 0x85EBCA77L & uint.MaxValue;
        h = (h ^ Shifted(h, 16)) * 0x85EBCA6BL & uint.MaxValue;
        h = (h ^ Shifted(h, 13)) * 0xC2B2AE35L & uint.MaxValue;
        var bits = Aten.View(x, ScalarType.Int32).to(ScalarType.Int64) + Shifted(h, 16);
        return Aten.View((bits & ~(long)LowerHalf).to(ScalarType.Int32), ScalarType.Float32).to(ScalarType.BFloat16)
            .MoveToOuterDisposeScope();

        static Tensor Shifted(Tensor bits, int count) => bits.bitwise_right_shift(full([], count, ScalarType.Int64, bits.device));
    }

    [UnmanagedCallersOnly, MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Round(long begin, long end, Work* w)
    {
        var i = begin;
        for (; i + 16 <= end; i += 16)
        {
            var (low, high) = (Cut(w, i), Cut(w, i + 8));
            Vector256.Narrow(low, high).Store(w->To + i);
        }
        for (; i < end; i++) w->To[i] = (ushort)(w->From[i] + Hash((uint)(w->First + i), w->Seed) >> 16);
    }

    private static Vector256<uint> Cut(Work* w, long i)
    {
        var h = (Vector256.Create((uint)(w->First + i)) + Vector256.Create(0u, 1, 2, 3, 4, 5, 6, 7)) * 0x9E3779B1
            + Vector256.Create(w->Seed * 0x85EBCA77);
        h = (h ^ h >>> 16) * 0x85EBCA6B;
        h = (h ^ h >>> 13) * 0xC2B2AE35;
        return Vector256.Load(w->From + i) + (h >>> 16) >>> 16;
    }

    // The first two rounds of MurmurHash3's finalizer; the upper 16 of 32 bits depend on all bits of index and seed.
    private static uint Hash(uint index, uint seed)
    {
        var h = index * 0x9E3779B1 + seed * 0x85EBCA77;
        h = (h ^ h >> 16) * 0x85EBCA6B;
        h = (h ^ h >> 13) * 0xC2B2AE35;
        return h >> 16;
    }

    private struct Work
    {
        public uint Seed;
        public long First;
        public uint* From;
        public ushort* To;
    }
}
