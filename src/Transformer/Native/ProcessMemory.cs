using System.Globalization;

namespace Transformer.Native;

/// <summary>The memory of this process, as Linux reports it.</summary>
internal static class ProcessMemory
{
    private const string Status = "/proc/self/status", ClearReferences = "/proc/self/clear_refs", PeakKey = "VmHWM:";
    private const string ResetPeak = "5";    // of proc(5): resets the peak to what is resident now

    /// <summary>
    /// The peak of resident bytes during some work, above those before it. Freed memory is returned to the system first and, until the work
    /// ends, as soon as it is freed, which costs time: do not time the work. Free blocks within the heap are reused and stay resident, so a
    /// process that has kept freed memory before (<see cref="Allocator.KeepFreedMemory"/>) measures too much: measure in a fresh one.
    /// </summary>
    /// <returns>Null where the system does not report it.</returns>
    public static long? PeakOf(Action work)
    {
        if (!File.Exists(ClearReferences) || !Allocator.ReturnFreedMemory()) return null;
        try
        {
            File.WriteAllText(ClearReferences, ResetPeak);
            var before = Read("VmRSS:");
            work();
            return Math.Max(0, Read(PeakKey) - before);
        }
        catch (IOException)
        {
            return null;
        }
        catch (UnauthorizedAccessException)
        {
            return null;
        }
        finally
        {
            Allocator.KeepFreedMemory();
        }
    }

    /// <summary>The most bytes that were resident at once; null where the system does not tell.</summary>
    public static long? Peak() => File.Exists(Status) ? Read(PeakKey) : null;

    private static long Read(string key)
    {
        var line = File.ReadLines(Status).First(line => line.StartsWith(key, StringComparison.Ordinal));
        return long.Parse(line.Split(' ', '\t').Where(part => part.Length > 0).ElementAt(1), CultureInfo.InvariantCulture) * 1024;
    }
}
