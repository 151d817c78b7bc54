using System.Runtime.InteropServices;
using Transformer.Native;

namespace Transformer.Tests.Native;

public sealed partial class OpenMpTests
{
    [Fact]
    public void The_C_library_s_environment_has_the_spin_count_that_libgomp_reads()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "libgomp is loaded on Linux only");
        Assert.SkipUnless(Environment.GetEnvironmentVariable("OMP_WAIT_POLICY") is null, "the user has set how threads wait");
        LibTorch.Load();
        Assert.Equal(
            Environment.GetEnvironmentVariable("GOMP_SPINCOUNT") ?? "1000", Marshal.PtrToStringUTF8(getenv("GOMP_SPINCOUNT")));
    }

    [LibraryImport("libc", StringMarshalling = StringMarshalling.Utf8)]
    private static partial IntPtr getenv(string name);
}
