using System.Text.RegularExpressions;
using Transformer.Configuration;

namespace Transformer.Files;

/// <summary>Folders that are there whole or not at all, whenever the process ends.</summary>
internal static partial class DurableFolder
{
    /// <summary>Fills a folder beside the path and renames it. Whatever goes wrong, the path keeps what it held.</summary>
    /// <exception cref="InputException">The folder cannot be written: no permission, no space.</exception>
    public static void Write(string path, Action<string> fill)
    {
        path = Path.TrimEndingDirectorySeparator(Path.GetFullPath(path));
        var partial = $"{path}.{Guid.NewGuid():N}.partial";
        var replaced = $"{path}.{Guid.NewGuid():N}.replaced";
        try
        {
            Directory.CreateDirectory(partial);
            fill(partial);
            if (Directory.Exists(path)) Directory.Move(path, replaced);
            Directory.Move(partial, path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            if (Directory.Exists(replaced) && !Directory.Exists(path)) Directory.Move(replaced, path);
            throw DurableFile.Unwritable(path, e);
        }
        finally
        {
            if (Directory.Exists(partial)) Directory.Delete(partial, recursive: true);
            if (Directory.Exists(replaced)) Directory.Delete(replaced, recursive: true);
        }
    }

    /// <summary>
    /// Cleans up after killed processes: half-written files and folders are deleted; a folder that was just being replaced is restored. No
    /// other process may be writing there.
    /// </summary>
    public static void CleanUp(string folder)
    {
        foreach (var entry in Directory.GetFileSystemEntries(folder))
        {
            if (Leftover().Match(entry) is not { Success: true } leftover) continue;
            var path = leftover.Groups["path"].Value;
            if (leftover.Groups["kind"].Value == "replaced" && !Directory.Exists(path)) Directory.Move(entry, path);
            else if (Directory.Exists(entry)) Directory.Delete(entry, recursive: true);
            else File.Delete(entry);
        }
    }

    [GeneratedRegex(@"^(?<path>.+)\.[0-9a-f]{32}\.(?<kind>partial|replaced)$")]
    private static partial Regex Leftover();
}
