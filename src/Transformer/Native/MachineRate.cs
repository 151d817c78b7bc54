using System.Diagnostics;
using System.Numerics;
using System.Runtime.InteropServices;
using Transformer.Runs;
using static TorchSharp.torch;

namespace Transformer.Native;

/// <summary>The machine's limits, measured now, with which training and decoding are compared.</summary>
public static class MachineRate
{
    private const int Side = 2048, SmallSide = 256, SmallTries = 3;
    private const double MostSeconds = 3;

    /// <summary>
    /// FLOP/s of libtorch's product of two 2048 x 2048 matrices (smaller ones where that takes seconds): the best of ten. It draws no
    /// random number, so that a run may measure at any time.
    /// </summary>
    /// <param name="device">Where the matrices lie.</param>
    /// <param name="precision">The type of the product.</param>
    /// <param name="tries">How often they are multiplied.</param>
    public static double MatrixFlopsPerSecond(Device device, Precision precision = Precision.Fp32, int tries = 10) =>
        Best(device, precision, SideFor(device, precision), tries);

    /// <summary>
    /// The rows of the matrices by which the rate is measured: 2048, or 256 where a processor without units for the type would take longer
    /// than some seconds for one product. Its plain loops have the same rate at any size.
    /// </summary>
    internal static int SideFor(Device device, Precision precision) =>
        2.0 * Side * Side * Side / Best(device, precision, SmallSide, SmallTries) > MostSeconds ? SmallSide : Side;

    private static double Best(Device device, Precision precision, int side, int tries)
    {
        using var scope = NewDisposeScope();
        var a = linspace(-1, 1, side * side, device: device).reshape(side, side).to(ProductTypes.Of(precision)).ForMatmul();
        var b = a.t().contiguous();
        var best = double.PositiveInfinity;
        for (var i = 0; i < tries; i++)
        {
            using var product = NewDisposeScope();    // small tensors that lived on would keep its memory from being used again
            var watch = Stopwatch.StartNew();
            _ = matmul(a, b)[0, 0].to(ScalarType.Float32).item<float>();    // waits for the device
            best = Math.Min(best, watch.Elapsed.TotalSeconds);
        }
        return 2.0 * side * side * side / best;
    }

    /// <summary>Bytes per second at which as many threads as libtorch uses read memory: the best of five passes over 512 MiB.</summary>
    public static unsafe double MemoryBytesPerSecond()
    {
        const long Bytes = 512L << 20;
        var threads = get_num_threads();
        var share = Bytes / threads / 4096 * 4096;
        var memory = (byte*)NativeMemory.AlignedAlloc((nuint)(share * threads), 4096);
        try
        {
            NativeMemory.Fill(memory, (nuint)(share * threads), 1);
            var best = double.PositiveInfinity;
            for (var i = 0; i < 5; i++)
            {
                var watch = Stopwatch.StartNew();
                Parallel.For(
                    0, threads, new ParallelOptions { MaxDegreeOfParallelism = threads },
                    thread => Sum((float*)(memory + thread * share), share / sizeof(float)));
                best = Math.Min(best, watch.Elapsed.TotalSeconds);
            }
            return share * threads / best;
        }
        finally
        {
            NativeMemory.AlignedFree(memory);
        }
    }

    // Four independent sums, so that the additions overlap.
    private static unsafe float Sum(float* values, long count)
    {
        var width = Vector<float>.Count;
        var (a, b, c, d) = (Vector<float>.Zero, Vector<float>.Zero, Vector<float>.Zero, Vector<float>.Zero);
        for (long i = 0; i + 4 * width <= count; i += 4 * width)
        {
            a += Vector.Load(values + i);
            b += Vector.Load(values + i + width);
            c += Vector.Load(values + i + 2 * width);
            d += Vector.Load(values + i + 3 * width);
        }
        return Vector.Sum(a + b + c + d);
    }
}
