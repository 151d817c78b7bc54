using System.Runtime.InteropServices;

namespace Transformer.Native;

/// <summary>libtorch's own thread pool, for our kernels: a second pool would compete for the cores.</summary>
internal static unsafe partial class ParallelFor
{
    /// <summary>Calls a kernel on ranges of 0 .. end - 1, in parallel. The kernel must not throw.</summary>
    /// <param name="end">One past the last index; the first is 0.</param>
    /// <param name="grain">The smallest range that is worth a thread.</param>
    /// <param name="kernel">Gets the first index of its range, one past its last, and its data.</param>
    /// <param name="work">The kernel's data; it must not move until the call returns.</param>
    public static void Run<T>(long end, long grain, delegate* unmanaged<long, long, T*, void> kernel, T* work) where T : unmanaged
    {
        if (torch_parallel_for(0, end, grain, (delegate* unmanaged<long, long, void*, void>)kernel, work) != 0)
            throw new InvalidOperationException("libtorch could not run the kernel in parallel; its message is above on standard error");
    }

    [LibraryImport(LibTorch.CpuLibrary)]
    private static partial int torch_parallel_for(
        long begin, long end, long grain, delegate* unmanaged<long, long, void*, void> function, void* context);
}
