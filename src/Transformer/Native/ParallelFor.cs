using System.Runtime.InteropServices;

namespace Transformer.Native;

/// <summary>libtorch's own team of threads, for kernels written here: a second team beside it would fight for the cores.</summary>
internal static unsafe partial class ParallelFor
{
    /// <summary>Calls a kernel on pieces of begin .. end - 1, several at once. The kernel must not throw.</summary>
    /// <param name="end">One past the last index; the first is 0.</param>
    /// <param name="grain">The least number of indices that are worth a thread.</param>
    /// <param name="kernel">Told the first index of its piece, one past its last, and what it works on.</param>
    /// <param name="work">What the kernel works on; it must stay where it is until the call returns.</param>
    public static void Run<T>(long end, long grain, delegate* unmanaged<long, long, T*, void> kernel, T* work) where T : unmanaged
    {
        if (torch_parallel_for(0, end, grain, (delegate* unmanaged<long, long, void*, void>)kernel, work) != 0)
            throw new InvalidOperationException("libtorch could not share out the work; what it said stands above on standard error");
    }

    [LibraryImport(LibTorch.CpuLibrary)]
    private static partial int torch_parallel_for(
        long begin, long end, long grain, delegate* unmanaged<long, long, void*, void> function, void* context);
}
