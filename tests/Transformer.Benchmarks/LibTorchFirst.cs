using System.Runtime.CompilerServices;
using Transformer.Native;

namespace Transformer.Benchmarks;

/// <summary>
/// Each benchmark runs in a process of its own, where TorchSharp may be loaded before the library, so that the library's own hook would run
/// too late.
/// </summary>
internal static class LibTorchFirst
{
#pragma warning disable CA2255 // The benchmarks' assembly is the application here.
    [ModuleInitializer]
#pragma warning restore CA2255
    internal static void Load() => LibTorch.Load();
}
