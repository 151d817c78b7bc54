using System.IO.Hashing;
using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;
using Transformer.Configuration;

namespace Transformer.Native;

/// <summary>
/// Finds and loads libtorch before TorchSharp does. On Linux there are two reasons: TorchSharp's native library requires the C++ runtime of
/// GCC 13, which Debian 12 and Ubuntu 22.04 lack although nothing of it is used, and <c>TRANSFORMER_LIBTORCH</c> may name another libtorch
/// (for example the <c>torch/lib</c> folder of a Python install with CUDA). Elsewhere TorchSharp's own search is enough.
/// A program that uses this library before TorchSharp needs no call of its own; one whose first call is TorchSharp's calls
/// <see cref="Load"/> before it, since nothing of this library has run by then.
/// </summary>
public static partial class LibTorch
{
    /// <summary>The environment variable that names the folder of another libtorch.</summary>
    public const string FolderVariable = "TRANSFORMER_LIBTORCH";

    /// <summary>The library name in the imports of <see cref="Aten"/>.</summary>
    internal const string CpuLibrary = "torch_cpu";

    private const string Binding = "libLibTorchSharp.so";
    private static readonly Lock Gate = new();
    private static bool loaded;
    private static ExceptionDispatchInfo? failure;

    /// <summary>The folder of the libtorch in use; null before it is loaded and where TorchSharp finds it itself.</summary>
    public static string? Folder { get; private set; }

    /// <summary>
    /// How TorchSharp's native library was loaded: the original, or a copy that accepts an older C++ runtime; and with which libtorch.
    /// </summary>
    public static string How { get; private set; } = "not loaded";

    /// <summary>The version of libtorch, which it tells itself: another one than the packages' may be in use.</summary>
    public static string Version => AbiVersion() is var version
        ? $"{version >> 56}.{(version >> 48) & 0xFF}.{(version >> 40) & 0xFF}" : "";

    /// <summary>The folder of the copy for an older C++ runtime.</summary>
    public static string CacheFolder
    {
        get
        {
            var data = Environment.GetFolderPath(
                Environment.SpecialFolder.LocalApplicationData, Environment.SpecialFolderOption.DoNotVerify);
            return Path.Combine(Path.IsPathRooted(data) ? data : Path.GetTempPath(), "transformer");
        }
    }

    // TorchSharp loads its native library in a static constructor, so it must be loaded when the assembly is.
#pragma warning disable CA2255 // A library may hook the load of another one only here; users of the library then need no call of their own.
    [ModuleInitializer]
#pragma warning restore CA2255
    internal static void LoadBeforeTorchSharp() => AppDomain.CurrentDomain.AssemblyLoad += (_, loading) =>
    {
        if (loading.LoadedAssembly.GetName().Name == "TorchSharp" && !IsDeferred) Load();
    };

    /// <summary>Whether the application calls <see cref="Load"/> itself when it needs libtorch.</summary>
    public static bool IsDeferred { get; set; }

    /// <summary>Loads libtorch once; later calls do nothing, or report again why it could not be loaded.</summary>
    /// <exception cref="InputException"><c>TRANSFORMER_LIBTORCH</c> names a folder without libtorch, or <see cref="CacheFolder"/> cannot
    /// be written where a copy is needed.</exception>
    /// <exception cref="DllNotFoundException">The system refuses libtorch.</exception>
    public static void Load()
    {
        lock (Gate)
        {
            failure?.Throw();
            if (loaded) return;
            loaded = true;
            try
            {
                if (OperatingSystem.IsLinux()) LoadOnLinux();
                else How = "by TorchSharp";
            }
            catch (Exception e)
            {
                failure = ExceptionDispatchInfo.Capture(e);
                throw;
            }
        }
    }

    /// <summary>
    /// The address of a function of libtorch's CUDA part or of the libraries linked into it, CUDA's runtime and NCCL, of which a process
    /// must not load two; 0 where there is none.
    /// </summary>
    internal static nint CudaFunction(string name) =>
        Folder is { } folder && NativeLibrary.TryLoad(Path.Combine(folder, "libtorch_cuda.so"), out var library)
            && NativeLibrary.TryGetExport(library, name, out var function)
            ? function
            : 0;

    private static void LoadOnLinux()
    {
        var given = Environment.GetEnvironmentVariable(FolderVariable);
        if (given is not null && !File.Exists(Path.Combine(given, "libtorch_cpu.so")))
            throw new InputException(
                $"{FolderVariable}={given}: no libtorch_cpu.so there. Expected a folder such as torch/lib of a Python install of PyTorch.");

        var binding = FindBeside(Binding);
        var folder = given ?? Path.GetDirectoryName(FindBeside("libtorch_cpu.so"));
        if (binding is null || folder is null)
        {
            How = "by TorchSharp";
            return;
        }

        Folder = folder;
        OpenMp.SpinBriefly();
        foreach (var library in (string[])["libc10.so", "libtorch_cpu.so", "libc10_cuda.so", "libtorch_cuda.so", "libtorch.so"])
        {
            if (!File.Exists(Path.Combine(folder, library))) continue;
            var handle = NativeLibrary.Load(Path.Combine(folder, library));
            if (given is not null && FindBeside(library) is { } own) LoadedLibrary.AnswerTo(handle, own);
        }

        // Otherwise the runtime would look for the name in the application's folder and could load a second libtorch.
        NativeLibrary.SetDllImportResolver(typeof(Aten).Assembly, (name, _, _) =>
            name == CpuLibrary ? NativeLibrary.Load(Path.Combine(folder, "libtorch_cpu.so")) : IntPtr.Zero);

        var accepted = NativeLibrary.TryLoad(binding, out _);
        if (!accepted) NativeLibrary.Load(CopyForOlderRuntime(binding));
        How = accepted ? "as it is" : "as a copy that accepts an older C++ runtime";
        if (given is not null) How += $", beside the libtorch of {given}";
    }

    [LibraryImport(CpuLibrary, EntryPoint = "aoti_torch_abi_version")]
    private static partial ulong AbiVersion();

    private static string? FindBeside(string file)
    {
        var searched = ((string?)AppContext.GetData("NATIVE_DLL_SEARCH_DIRECTORIES") ?? "")
            .Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries);
        var packaged = Path.Combine(
            AppContext.BaseDirectory, "runtimes", $"linux-{RuntimeInformation.ProcessArchitecture.ToString().ToLowerInvariant()}",
            "native");
        return searched.Append(packaged).Append(AppContext.BaseDirectory).Select(folder => Path.Combine(folder, file))
            .FirstOrDefault(File.Exists);
    }

    // The original in the package folder is not changed; the copy's name has the original's hash, so that another version makes another
    // copy.
    private static string CopyForOlderRuntime(string binding)
    {
        var image = File.ReadAllBytes(binding);
        var copy = Path.Combine(CacheFolder, $"libLibTorchSharp-{Convert.ToHexStringLower(XxHash128.Hash(image))}.so");
        if (File.Exists(copy)) return copy;

        ElfVersions.MakeWeak(image, "GLIBCXX_3.4.32");
        try
        {
            Directory.CreateDirectory(CacheFolder);
            var temporary = $"{copy}.{Environment.ProcessId}";
            File.WriteAllBytes(temporary, image);
            File.Move(temporary, copy, overwrite: true);
            return copy;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InputException(UnwritableCache(e.Message), e);
        }
    }

    /// <summary>The message for a <see cref="CacheFolder"/> that cannot be written.</summary>
    public static string UnwritableCache(string reason) =>
        $"{CacheFolder} cannot be written ({reason}): allow it, or name another folder in XDG_DATA_HOME.";
}
