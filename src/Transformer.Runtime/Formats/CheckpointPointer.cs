using System.Text;
using Transformer.Configuration;
using Transformer.Files;

namespace Transformer.Formats;

/// <summary>
/// The files <c>latest</c> and <c>best</c> among a run's checkpoints: each holds the name of the folder that it points to.
/// </summary>
public static class CheckpointPointer
{
    /// <summary>The folder of a run that holds its checkpoints.</summary>
    public const string CheckpointsName = "checkpoints";

    /// <summary>The name of the pointer to the checkpoint that a run resumes from.</summary>
    public const string Latest = "latest";

    /// <summary>The name of the pointer to the checkpoint with the lowest validation loss.</summary>
    public const string Best = "best";

    /// <summary>Points to a checkpoint, once it is complete.</summary>
    /// <param name="checkpoint">Its folder.</param>
    /// <param name="mark"><see cref="Latest"/> or <see cref="Best"/>.</param>
    /// <exception cref="InputException">The pointer cannot be written.</exception>
    public static void Set(string checkpoint, string mark)
    {
        var folder = Path.TrimEndingDirectorySeparator(Path.GetFullPath(checkpoint));
        DurableFile.WriteText(Path.Combine(Path.GetDirectoryName(folder)!, mark), Path.GetFileName(folder) + "\n");
    }

    /// <summary>The folder of the model that a path stands for: its own, or the latest (or else best) checkpoint of a run.</summary>
    /// <exception cref="InputException">The pointer names a folder that does not exist.</exception>
    internal static string Resolve(string folder)
    {
        var checkpoints = Path.Combine(folder, CheckpointsName);
        var mark = new[] { Latest, Best }.Select(name => Path.Combine(checkpoints, name)).FirstOrDefault(File.Exists);
        if (mark is null || WeightFiles.In(folder)) return folder;
        var named = ReadName(mark);
        var checkpoint = Path.Combine(checkpoints, named);
        if (named.Length == 0 || named != Path.GetFileName(named) || !WeightFiles.In(checkpoint))
            throw new InputException($"{mark}: names {(named.Length == 0 ? "nothing" : named)}, " +
                $"which is no checkpoint in {checkpoints}.\n  Write the name of one there.");
        return checkpoint;
    }

    /// <summary>
    /// Opens what a path stands for. A run that goes on deletes old checkpoints, perhaps the one that is being read: then its pointer names
    /// another one by now, which is opened instead.
    /// </summary>
    /// <param name="path">A run's folder, or another path.</param>
    /// <param name="open">Opens it; called once more where the pointer has moved on meanwhile.</param>
    internal static T Follow<T>(string path, Func<T> open)
    {
        var before = NameOf(path);
        try
        {
            return open();
        }
        catch (Exception e) when (e is InputException or IOException && before is not null && NameOf(path) is { } now && now != before)
        {
            return open();
        }
    }

    // What the run's pointer names at present; null where the path is no run.
    private static string? NameOf(string path)
    {
        var mark = Path.Combine(path, CheckpointsName, Latest);
        return File.Exists(mark) ? ReadName(mark) : null;
    }

    /// <summary>The name in a pointer; empty where there is none.</summary>
    /// <exception cref="InputException">The pointer cannot be read.</exception>
    internal static string ReadName(string mark)
    {
        try
        {
            return WholeFile.Lines(mark).FirstOrDefault("").Trim();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or DecoderFallbackException)
        {
            throw new InputException($"{mark}: cannot be read ({e.Message})", e);
        }
    }
}
