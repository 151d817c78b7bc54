using System.Text.RegularExpressions;

namespace Transformer.Files;

/// <summary>
/// Where a file or folder is written before it is renamed: beside its place, and held by a lock for as long as the process works on it.
/// What killed processes left there is removed by the next one that writes to the same place.
/// </summary>
internal sealed partial class PartialPath : IDisposable
{
    private const string Lock = "lock", Partial = "partial", Replaced = "replaced";
    private readonly string start;
    private readonly FileStream hold;

    /// <param name="path">The place, in a folder that exists.</param>
    /// <exception cref="IOException">The folder cannot be written.</exception>
    /// <exception cref="UnauthorizedAccessException">The folder may not be written.</exception>
    public PartialPath(string path)
    {
        path = Path.GetFullPath(path);
        CleanUp(Path.GetDirectoryName(path)!, path);
        start = $"{path}.{Guid.NewGuid():N}";
        hold = new FileStream(
            $"{start}.{Lock}", FileMode.CreateNew, FileAccess.ReadWrite, FileShare.None, bufferSize: 0, FileOptions.DeleteOnClose);
    }

    /// <summary>Where the new content is written.</summary>
    public string New => $"{start}.{Partial}";

    /// <summary>Where the old content is while the new one takes its place.</summary>
    public string Old => $"{start}.{Replaced}";

    /// <summary>
    /// Cleans up after killed processes: what they had half written is deleted; what they were just replacing is restored. What a living
    /// process is writing stays.
    /// </summary>
    /// <param name="folder">Where to look.</param>
    /// <param name="of">The one place to clean up; all in the folder where null.</param>
    public static void CleanUp(string folder, string? of = null)
    {
        if (!Directory.Exists(folder)) return;
        var pattern = of is null ? "*" : $"{Path.GetFileName(of)}.*";
        foreach (var entry in Directory.GetFileSystemEntries(folder, pattern))
        {
            if (Leftover().Match(entry) is not { Success: true } leftover) continue;
            if (of is not null && leftover.Groups["path"].Value != of) continue;
            if (!IsHeld($"{leftover.Groups["start"].Value}.{Lock}") && leftover.Groups["kind"].Value != Lock) Remove(entry, leftover);
        }
    }

    /// <summary>Whether a path is what a process that writes, or was killed while it wrote, has beside the place.</summary>
    public static bool IsLeftover(string entry) => Leftover().IsMatch(entry);

    private static void Remove(string entry, Match leftover)
    {
        var path = leftover.Groups["path"].Value;
        try
        {
            if (leftover.Groups["kind"].Value == Replaced && !Path.Exists(path)) Directory.Move(entry, path);
            else if (Directory.Exists(entry)) Directory.Delete(entry, recursive: true);
            else File.Delete(entry);
        }
        catch (Exception e) when (e is DirectoryNotFoundException or FileNotFoundException)
        {
            // another process has just removed it
        }
    }

    // The system releases a lock when its process ends, however it ends. A lock that nobody holds is deleted.
    private static bool IsHeld(string path)
    {
        try
        {
            using var free = new FileStream(
                path, FileMode.Open, FileAccess.ReadWrite, FileShare.None, bufferSize: 0, FileOptions.DeleteOnClose);
            return false;
        }
        catch (FileNotFoundException)
        {
            return false;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return true;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (File.Exists(New)) File.Delete(New);
        if (Directory.Exists(New)) Directory.Delete(New, recursive: true);
        if (Directory.Exists(Old)) Directory.Delete(Old, recursive: true);
        hold.Dispose();
    }

    [GeneratedRegex(@"^(?<start>(?<path>.+)\.[0-9a-f]{32})\.(?<kind>partial|replaced|lock)$", RegexOptions.Singleline)]
    private static partial Regex Leftover();
}
