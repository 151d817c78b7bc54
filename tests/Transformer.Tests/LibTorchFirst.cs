using System.Runtime.CompilerServices;
using Transformer.Native;

namespace Transformer.Tests;

/// <summary>A test may touch TorchSharp before it touches the library, whose own hook would then come too late.</summary>
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

    // The models of tests are too small to share out; threads would only wait for each other. A method of its own, so that libtorch is
    // there first.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void OneThread() => TorchSharp.torch.set_num_threads(1);
}
