using System.Runtime.InteropServices;

namespace Transformer.Files;

/// <summary>Tells files from what has no end, waits, or is no place for data: pipes, devices and folders.</summary>
internal static partial class RegularFile
{
    private const int TypeMask = 0xF000, Regular = 0x8000;    // of a mode

    /// <summary>Whether a path leads to something that is no regular file. Nothing is opened.</summary>
    public static bool IsOther(string path)
    {
        if (Directory.Exists(path)) return true;
        if (OperatingSystem.IsWindows() || !File.Exists(path)) return false;
        Span<int> status = stackalloc int[64];
        return Status(path, status) == 0 && (status[1] & TypeMask) != Regular;
    }

    // The runtime's own wrapper: its result, flags and then the mode, is the same on all systems, unlike that of libc.
    [LibraryImport("libSystem.Native", EntryPoint = "SystemNative_Stat", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Status(string path, Span<int> status);
}
