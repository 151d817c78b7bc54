using System.Runtime.InteropServices;

namespace Transformer.Native;

/// <summary>
/// An entry in glibc's list of loaded libraries. TorchSharp loads libtorch by name, which .NET turns into the path of the application's own
/// copy without calling a resolver; two libtorch in one process crash it. glibc opens a path only if no loaded library has it, so the
/// loaded one is given that path.
/// </summary>
internal static unsafe partial class LoadedLibrary
{
    private const int RequestLinkMap = 2;    // RTLD_DI_LINKMAP

    /// <summary>Makes glibc return a loaded library for another path.</summary>
    /// <param name="handle">The library.</param>
    /// <param name="path">The path of the other file, as it will be opened.</param>
    public static void AnswerTo(IntPtr handle, string path)
    {
        LinkMap* entry;
        if (dlinfo(handle, RequestLinkMap, &entry) != 0)
            throw new DllNotFoundException("the C library does not list loaded libraries; only glibc does");
        entry->Name = Marshal.StringToCoTaskMemUTF8(path);    // for the life of the process: libtorch is never unloaded
    }

    [LibraryImport("libc")]
    private static partial int dlinfo(IntPtr handle, int request, LinkMap** entry);

    // The head of struct link_map, link.h.
    [StructLayout(LayoutKind.Sequential)]
    private struct LinkMap
    {
        public IntPtr Address;
        public IntPtr Name;
    }
}
