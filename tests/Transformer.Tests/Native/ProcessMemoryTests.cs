using Transformer.Native;
using static TorchSharp.torch;

namespace Transformer.Tests.Native;

public sealed class ProcessMemoryTests
{
    [Fact]
    public void The_peak_of_some_work_is_what_it_held_at_once()
    {
        const long Mebibyte = 1 << 20;
        var peak = ProcessMemory.PeakOf(() =>
        {
            for (var i = 0; i < 3; i++) zeros(16 * Mebibyte).Dispose();    // 64 MiB, three times, one after the other
        });
        Assert.SkipWhen(peak is null, "Only Linux with glibc tells.");
        Assert.InRange(peak.Value, 63 * Mebibyte, 80 * Mebibyte);
    }
}
