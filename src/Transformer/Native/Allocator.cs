using System.Runtime.InteropServices;

namespace Transformer.Native;

/// <summary>The C library's memory allocator.</summary>
public static partial class Allocator
{
    private const int TrimThreshold = -1, MmapThreshold = -3;    // M_TRIM_THRESHOLD, M_MMAP_THRESHOLD of glibc's malloc.h

    /// <summary>
    /// Keeps freed memory for the next step instead of returning it: a training step allocates the same blocks over and over, and every fresh
    /// page costs a fault and 4 KiB of zeros. Worth 10 to 25% of a step. Does nothing where the C library is not glibc.
    /// </summary>
    public static void KeepFreedMemory()
    {
        if (!OperatingSystem.IsLinux()) return;
        try
        {
            _ = mallopt(MmapThreshold, 32 << 20);
            _ = mallopt(TrimThreshold, int.MaxValue);
        }
        catch (EntryPointNotFoundException)
        {
            // musl has no mallopt and needs none.
        }
    }

    [LibraryImport("libc")]
    private static partial int mallopt(int parameter, int value);
}
