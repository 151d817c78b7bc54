using Transformer.Native;
using static TorchSharp.torch;

namespace Transformer.Tests.Native;

public sealed class ProcessMemoryTests
{
    [Fact]
    public void The_peak_of_some_work_is_what_it_held_at_once()
    {
        const long Mebibyte = 1 << 20;
        // Larger than any free block that the heap of this process still holds: those would be used again, and stay resident.
        const long Size = 512 * Mebibyte;
        var peak = ProcessMemory.PeakOf(() =>
        {
            for (var i = 0; i < 3; i++) zeros(Size / sizeof(float)).Dispose();
        });
        Assert.SkipWhen(peak is null, "Only Linux with glibc reports it.");
        Assert.InRange(peak.Value, Size - Mebibyte, Size + 32 * Mebibyte);
    }
}
