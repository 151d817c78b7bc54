using System.Diagnostics;
using System.Globalization;

namespace Transformer.Native;

/// <summary>
/// How many of the cores that this process may use are held by something else, as Linux counts it in /proc/stat: other processes, and on a
/// virtual machine other guests of its host.
/// </summary>
public sealed class CpuContention
{
    private const string Statistics = "/proc/stat", Status = "/proc/self/status", Allowed = "Cpus_allowed_list:";
    private Reading last;

    private CpuContention(Reading last) => this.last = last;

    /// <summary>
    /// Begins to count; null where the system does not tell, or gives this process less than the cores that it names (a container's quota),
    /// so that others' use of them says nothing.
    /// </summary>
    public static CpuContention? TryStart() =>
        TryRead() is { } first && first.Counts.Length == Environment.ProcessorCount ? new(first) : null;

    /// <summary>The seconds since the last call of <see cref="Cores"/>, or since the beginning.</summary>
    public double Seconds => Stopwatch.GetElapsedTime(last.Time).TotalSeconds;

    /// <summary>
    /// How many cores others held since the last call, on average; null where the system no longer tells. It counts in hundredths of a
    /// second: wait for half a second or more.
    /// </summary>
    public double? Cores()
    {
        if (TryRead() is not { } now) return null;
        var (before, seconds) = (last, Stopwatch.GetElapsedTime(last.Time, now.Time).TotalSeconds);
        last = now;
        return Between(before.Counts, now.Counts, (now.Own - before.Own).TotalSeconds / seconds);
    }

    /// <summary>Whether so many threads get in each other's way.</summary>
    /// <param name="threads">The threads of this process.</param>
    /// <param name="others">The cores that others hold.</param>
    /// <param name="cores">The cores that there are.</param>
    public static bool IsOversubscribed(int threads, double others, int cores) => threads + others > cores + 0.5;

    /// <summary>The threads for which there is a core each, at least one.</summary>
    /// <inheritdoc cref="IsOversubscribed"/>
    public static int FreeCores(double others, int cores) => Math.Max(1, (int)Math.Round(cores - others));

    /// <summary>The cores that others held between two readings of the counters.</summary>
    /// <param name="before">For each core the ticks that it was busy, and all of its ticks.</param>
    /// <param name="now">The same later.</param>
    /// <param name="own">The cores that this process used meanwhile.</param>
    internal static double Between(IReadOnlyList<(long Busy, long All)> before, IReadOnlyList<(long Busy, long All)> now, double own)
    {
        var busy = before.Zip(now, (first, second) =>
            second.All > first.All ? (double)(second.Busy - first.Busy) / (second.All - first.All) : 0).Sum();
        return Math.Clamp(busy - own, 0, now.Count);
    }

    /// <summary>The ticks of some cores.</summary>
    /// <param name="statistics">The lines of /proc/stat.</param>
    /// <param name="allowed">A list such as 0-3,8.</param>
    internal static (long Busy, long All)[] Counts(IEnumerable<string> statistics, string allowed)
    {
        var cores = allowed.Split(',').Select(range => range.Split('-').Select(Number).ToArray())
            .SelectMany(range => Enumerable.Range((int)range[0], (int)(range[^1] - range[0]) + 1)).Select(core => $"cpu{core}").ToHashSet();
        return [.. statistics.Select(line => line.Split(' ')).Where(line => cores.Contains(line[0])).Select(Count)];
    }

    // user, nice, system, idle, iowait, irq, softirq, steal; what guests take is part of user and nice.
    private static (long Busy, long All) Count(string[] line)
    {
        var ticks = line.Skip(1).Take(8).Select(Number).ToArray();
        var (all, idle) = (ticks.Sum(), ticks[3] + ticks[4]);
        return (all - idle, all);
    }

    private static long Number(string text) => long.Parse(text, CultureInfo.InvariantCulture);

    private static Reading? TryRead()
    {
        try
        {
            var allowed = File.ReadLines(Status).FirstOrDefault(line => line.StartsWith(Allowed, StringComparison.Ordinal));
            return allowed is null ? null
                : new(
                    Stopwatch.GetTimestamp(), Environment.CpuUsage.TotalTime,
                    Counts(File.ReadLines(Statistics), allowed[Allowed.Length..].Trim()));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or FormatException)
        {
            return null;
        }
    }

    private readonly record struct Reading(long Time, TimeSpan Own, (long Busy, long All)[] Counts);
}
