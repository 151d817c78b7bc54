using System.Runtime.CompilerServices;
using Transformer.Native;

namespace Transformer.Tests;

/// <summary>A test may load TorchSharp before the library, so that the library's own hook would run too late.</summary>
internal static class LibTorchFirst
{
#pragma warning disable CA2255 // The test assembly is the application here.
    [ModuleInitializer]
#pragma warning restore CA2255
    internal static void Load()
    {
        LibTorch.Load();
        OneThread();
    }

    // The models of tests are too small for several threads, which would only wait for each other. A separate method, so that libtorch is
    // loaded first.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void OneThread() => TorchSharp.torch.set_num_threads(1);
}
