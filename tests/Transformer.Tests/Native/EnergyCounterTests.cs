using System.Globalization;
using Transformer.Native;

namespace Transformer.Tests.Native;

public sealed class EnergyCounterTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void The_energy_of_all_packages_is_added_up_and_not_that_of_their_parts()
    {
        Zone("intel-rapl:0", "package-0", microjoules: 1_000_000);
        Zone("intel-rapl:0:0", "core", microjoules: 500_000);
        Zone("intel-rapl:1", "package-1", microjoules: 7_000_000);
        Zone("intel-rapl:2", "psys", microjoules: 9_000_000);
        Zone("intel-rapl-mmio:0", "package-0", microjoules: 1_000_000);
        var counter = EnergyCounter.TryOpen(folder.Path)!;
        Assert.Equal(0, counter.Joules());

        Zone("intel-rapl:0", "package-0", microjoules: 3_500_000);
        Zone("intel-rapl:0:0", "core", microjoules: 900_000);
        Zone("intel-rapl:1", "package-1", microjoules: 8_000_000);
        Assert.Equal(3.5, counter.Joules());
        Assert.Equal(0, counter.Joules());
    }

    [Fact]
    public void A_counter_that_begins_again_at_zero_goes_on()
    {
        Zone("intel-rapl:0", "package-0", microjoules: 9_000_000, range: 10_000_000);
        var counter = EnergyCounter.TryOpen(folder.Path)!;
        Zone("intel-rapl:0", "package-0", microjoules: 500_000, range: 10_000_000);
        Assert.Equal(1.5, counter.Joules());
    }

    [Fact]
    public void A_machine_without_readable_counters_has_none()
    {
        Assert.Null(EnergyCounter.TryOpen(folder["nowhere"]));
        Assert.Null(EnergyCounter.TryOpen(folder.Path));
        Directory.CreateDirectory(folder["intel-rapl:0"]);
        Assert.Null(EnergyCounter.TryOpen(folder.Path));
    }

    private void Zone(string zone, string name, long microjoules, long range = 262_143_328_850)
    {
        Directory.CreateDirectory(folder[zone]);
        folder.Write($"{zone}/name", $"{name}\n");
        folder.Write($"{zone}/energy_uj", microjoules.ToString(CultureInfo.InvariantCulture) + "\n");
        folder.Write($"{zone}/max_energy_range_uj", range.ToString(CultureInfo.InvariantCulture) + "\n");
    }
}
