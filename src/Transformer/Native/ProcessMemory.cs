using System.Globalization;

namespace Transformer.Native;

/// <summary>How much memory this process takes, as Linux tells it.</summary>
internal static class ProcessMemory
{
    private const string Status = "/proc/self/status", ClearReferences = "/proc/self/clear_refs";
    private const string ResetPeak = "5";    // of proc(5): the peak becomes what is resident now

    /// <summary>
    /// The most bytes that were resident at once while some work was done, above those before it. Freed memory is given back to the system
    /// first and, until the work ends, as soon as it is freed, which costs time: not for work that is timed.
    /// </summary>
    /// <returns>Null where the system does not tell.</returns>
    public static long? PeakOf(Action work)
    {
        if (!File.Exists(ClearReferences) || !Allocator.ReturnFreedMemory()) return null;
        try
        {
            File.WriteAllText(ClearReferences, ResetPeak);
            var before = Read("VmRSS:");
            work();
            return Math.Max(0, Read("VmHWM:") - before);
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

    private static long Read(string key)
    {
        var line = File.ReadLines(Status).First(line => line.StartsWith(key, StringComparison.Ordinal));
        return long.Parse(line.Split(' ', '\t').Where(part => part.Length > 0).ElementAt(1), CultureInfo.InvariantCulture) * 1024;
    }
}
