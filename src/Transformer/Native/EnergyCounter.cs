using System.Globalization;

namespace Transformer.Native;

/// <summary>
/// The energy that the processor's packages take, as it counts it itself (RAPL), with everything that runs on them. Linux shows the
/// counters to root alone, unless an administrator allows others to read them.
/// </summary>
internal sealed class EnergyCounter
{
    private const string SystemFolder = "/sys/class/powercap", Zones = "intel-rapl:*", Counter = "energy_uj", Range = "max_energy_range_uj";
    private readonly Zone[] zones;

    private EnergyCounter(Zone[] zones) => this.zones = zones;

    /// <summary>Begins to count; null where the machine has no counter that this process may read.</summary>
    /// <param name="folder">Where the counters are, one folder per zone.</param>
    public static EnergyCounter? TryOpen(string folder = SystemFolder)
    {
        try
        {
            if (!Directory.Exists(folder)) return null;
            // intel-rapl:0 is a package, intel-rapl:0:1 a part of it.
            Zone[] zones = [.. Directory.GetDirectories(folder, Zones)
                .Where(zone => Path.GetFileName(zone).Count(letter => letter == ':') == 1)
                .Where(IsPackage).Select(zone => new Zone(zone))];
            return zones.Length > 0 && Array.TrueForAll(zones, zone => zone.Read() is not null) ? new(zones) : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>
    /// The joules since the last call, or since the beginning; null where a counter can no longer be read. A counter begins again at zero
    /// after some 260 kJ: call it more often.
    /// </summary>
    public double? Joules()
    {
        double sum = 0;
        foreach (var zone in zones)
        {
            if (zone.Read() is not { } microjoules) return null;
            sum += microjoules;
        }
        return sum / 1e6;
    }

    // The zone of the whole machine (psys) includes its packages.
    private static bool IsPackage(string zone)
    {
        var name = Path.Combine(zone, "name");
        return File.Exists(name) && File.ReadAllText(name).StartsWith("package", StringComparison.Ordinal);
    }

    private sealed class Zone(string folder)
    {
        private long? last;

        // The microjoules since the last call; 0 at the first.
        public long? Read()
        {
            if (Number(Counter) is not { } now) return null;
            var since = now - (last ?? now);
            last = now;
            return since >= 0 ? since : since + (Number(Range) ?? 0);
        }

        private long? Number(string name)
        {
            try
            {
                return long.Parse(File.ReadAllText(Path.Combine(folder, name)), CultureInfo.InvariantCulture);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException or FormatException)
            {
                return null;
            }
        }
    }
}
