using System.Runtime.InteropServices;
using Transformer.Native;

namespace Transformer.Cli;

/// <summary>What the system provides, as far as it can be read without libtorch.</summary>
/// <param name="System">The operating system and, on Linux, its C library.</param>
/// <param name="Dotnet">The .NET runtime.</param>
/// <param name="Cores">The processor cores that this process may use.</param>
/// <param name="FreeMemoryBytes">The free memory.</param>
/// <param name="FreeDiskBytes">The free space where runs are written, the current folder.</param>
/// <param name="Mpi">The name of the MPI library; null where there is none.</param>
/// <param name="HasGraphicsDriver">Whether a driver for NVIDIA's GPUs is loaded.</param>
/// <param name="OtherCores">How many of the cores other processes use at the moment; null where the system does not tell.</param>
internal sealed partial record SystemFacts(
    string System, string Dotnet, int Cores, long FreeMemoryBytes, long FreeDiskBytes, string? Mpi, bool HasGraphicsDriver,
    double? OtherCores = null)
{
    private const long LeastMemory = 1L << 30, LeastDisk = 2L << 30;

    /// <summary>The facts of this process.</summary>
    public static SystemFacts Read() => new(
        OperatingSystem.IsLinux() ? $"{RuntimeInformation.OSDescription}, {CLibrary() ?? "a C library other than glibc"}"
            : RuntimeInformation.OSDescription,
        RuntimeInformation.FrameworkDescription,
        Environment.ProcessorCount,
        FreeMemory(),
        new DriveInfo(Environment.CurrentDirectory).AvailableFreeSpace,
        ((string[])["libmpi.so.40", "libmpi.so.12", "libmpi.dylib", "msmpi.dll"])
            .FirstOrDefault(name => NativeLibrary.TryLoad(name, out _)),
        File.Exists("/proc/driver/nvidia/version") || File.Exists(Path.Combine(Environment.SystemDirectory, "nvcuda.dll")),
        Others());

    /// <summary>What is wrong with them, and what to do about it.</summary>
    public IEnumerable<string> Problems()
    {
        if (OperatingSystem.IsLinux() && CLibrary() is null)
            yield return "libtorch needs glibc: take a system such as Debian, Ubuntu or Fedora.";
        if (OtherCores is { } others && CpuContention.IsOversubscribed(Cores, others, Cores))
            yield return ContentionWarning.Advice(others, Cores, Cores, "train with");
        if (FreeMemoryBytes < LeastMemory)
            yield return $"Only {Numbers.Bytes(FreeMemoryBytes)} of memory are free: end other programs, or take a smaller batch.";
        if (FreeDiskBytes < LeastDisk)
            yield return $"Only {Numbers.Bytes(FreeDiskBytes)} of disk are free here: make room, or write runs elsewhere with --out.";
        if (Unwritable(LibTorch.CacheFolder) is { } reason)
            yield return LibTorch.UnwritableCache(reason);
    }

    private static double? Others()
    {
        var load = CpuContention.TryStart();
        if (load is not null) Thread.Sleep(TimeSpan.FromSeconds(0.5));    // the system counts in hundredths of a second
        return load?.Cores();
    }

    /// <summary>The memory that is free, for this process.</summary>
    public static long FreeMemory() => OperatingSystem.IsLinux()
        && File.ReadLines("/proc/meminfo").FirstOrDefault(line => line.StartsWith("MemAvailable:")) is { } line
            ? Math.Min(
                1024 * long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1]),
                GC.GetGCMemoryInfo().TotalAvailableMemoryBytes)
            : GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;

    // Only an older C++ runtime needs the folder, and then a file is made in it.
    private static string? Unwritable(string folder)
    {
        if (!OperatingSystem.IsLinux()) return null;
        try
        {
            Directory.CreateDirectory(folder);
            using var file = new FileStream(
                Path.Combine(folder, Path.GetRandomFileName()), FileMode.CreateNew, FileAccess.Write, FileShare.None, 1,
                FileOptions.DeleteOnClose);
            return null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return e.Message;
        }
    }

    private static string? CLibrary()
    {
        try
        {
            return $"glibc {Marshal.PtrToStringUTF8(gnu_get_libc_version())}";
        }
        catch (Exception e) when (e is EntryPointNotFoundException or DllNotFoundException)
        {
            return null;
        }
    }

    [LibraryImport("libc")]
    private static partial IntPtr gnu_get_libc_version();
}
