using System.Diagnostics;
using Transformer.Native;

namespace Transformer.Tests.Native;

public sealed class CpuContentionTests
{
    // Ticks of user, nice, system, idle, iowait, irq, softirq, steal, guest and guest_nice.
    private static readonly string[] Before =
    [
        "cpu  4000 0 0 4000 0 0 0 0 0 0", "cpu0 1000 0 0 1000 0 0 0 0 0 0", "cpu1 1000 0 0 1000 0 0 0 0 0 0",
        "cpu2 1000 0 0 1000 0 0 0 0 0 0", "cpu3 1000 0 0 1000 0 0 0 0 0 0", "intr 5 0 0",
    ];

    // A second later cores 0 and 1 were busy, half of core 2 was taken by the host, and core 3 waited for a disk.
    private static readonly string[] After =
    [
        "cpu  4180 10 10 4100 50 0 0 50 0 0", "cpu0 1100 0 0 1000 0 0 0 0 80 0", "cpu1 1080 10 10 1000 0 0 0 0 0 0",
        "cpu2 1000 0 0 1050 0 0 0 50 0 0", "cpu3 1000 0 0 1050 50 0 0 0 0 0", "intr 6 0 0",
    ];

    [Theory]
    [InlineData("0-3", 0, 2.5)]
    [InlineData("0-3", 1.5, 1)]       // what this process used itself
    [InlineData("0,2", 0, 1.5)]       // only the cores that it may use
    [InlineData("3", 0, 0)]
    [InlineData("3", 0.5, 0)]
    public void The_cores_that_others_hold_are_the_busy_ones_less_those_of_this_process(string allowed, double own, double others) =>
        Assert.Equal(others, CpuContention.Between(CpuContention.Counts(Before, allowed), CpuContention.Counts(After, allowed), own), 1e-9);

    [Fact]
    public void Threads_get_in_the_way_of_others_where_there_is_no_core_for_each()
    {
        Assert.False(CpuContention.IsOversubscribed(threads: 2, others: 0.3, cores: 2));
        Assert.True(CpuContention.IsOversubscribed(threads: 2, others: 0.7, cores: 2));
        Assert.False(CpuContention.IsOversubscribed(threads: 1, others: 1, cores: 2));
        Assert.Equal((1, 1, 6), (CpuContention.FreeCores(0.7, 2), CpuContention.FreeCores(2, 2), CpuContention.FreeCores(2.2, 8)));
    }

    [Fact]
    public void What_this_process_does_is_not_counted()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "only Linux tells it in files");
        var load = CpuContention.TryStart()!;
        var (watch, before) = (Stopwatch.StartNew(), Environment.CpuUsage.TotalTime);
        while (watch.Elapsed.TotalSeconds < 0.6) { }
        var own = (Environment.CpuUsage.TotalTime - before).TotalSeconds / watch.Elapsed.TotalSeconds;
        Assert.InRange(load.Cores()!.Value, 0, Environment.ProcessorCount - own + 0.2);
    }
}
