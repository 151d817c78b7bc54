using Transformer.Configuration;

namespace Transformer.Files;

/// <summary>Folders that are there whole or not at all, whenever the process ends.</summary>
internal static class DurableFolder
{
    /// <summary>Fills a folder beside the path and renames it. Whatever goes wrong, the path keeps what it held.</summary>
    /// <exception cref="InputException">The folder cannot be written: no permission, no space.</exception>
    public static void Write(string path, Action<string> fill)
    {
        path = Path.TrimEndingDirectorySeparator(Path.GetFullPath(path));
        try
        {
            if (Path.GetDirectoryName(path) is { } above) Directory.CreateDirectory(above);
            using var partial = new PartialPath(path);
            Directory.CreateDirectory(partial.New);
            fill(partial.New);
            if (Directory.Exists(path)) Directory.Move(path, partial.Old);
            try
            {
                Directory.Move(partial.New, path);
            }
            catch when (Directory.Exists(partial.Old) && !Directory.Exists(path))
            {
                Directory.Move(partial.Old, path);
                throw;
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw DurableFile.Unwritable(path, e);
        }
    }
}
