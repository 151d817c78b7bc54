using Transformer.Configuration;
using Transformer.Distributed;
using Transformer.Files;
using Transformer.Formats;
using Transformer.Runs;

namespace Transformer.Training;

/// <summary>The folder of one run, locked by one process at a time: the resolved configuration, metrics, samples and checkpoints.</summary>
public sealed class RunFolder : IDisposable
{
    /// <summary>The name of the file with the environment of the run's start.</summary>
    internal const string EnvironmentName = "environment.json";

    private const string ConfigName = "config.yaml";
    private readonly FileStream? hold;

    private RunFolder(string path, RunConfig config, FileStream? hold) => (Path, Config, this.hold) = (path, config, hold);

    /// <summary>Its path.</summary>
    public string Path { get; }

    /// <summary>The resolved configuration, enough to repeat the run.</summary>
    public RunConfig Config { get; }

    /// <summary>Creates the folder of a new run.</summary>
    /// <exception cref="InputException">A run is there already, or the folder cannot be written.</exception>
    public static RunFolder Create(string path, RunConfig config)
    {
        FileStream? hold = null;
        try
        {
            Directory.CreateDirectory(path);
            hold = Hold(path);
            if (File.Exists(System.IO.Path.Combine(path, ConfigName)))
                throw new InputException(
                    $"{path}: a run exists there already. Resume it with `{PastedCommand.Of("train", "--resume", path)}`, " +
                    "or choose another folder with --out.");
            DurableFile.WriteText(System.IO.Path.Combine(path, ConfigName), ConfigFile.ToYaml(config));
            return new RunFolder(path, config, hold);
        }
        catch (Exception failure)
        {
            hold?.Dispose();
            if (failure is IOException or UnauthorizedAccessException) throw DurableFile.Unwritable(path, failure);
            throw;
        }
    }

    /// <summary>
    /// Opens the folder of an existing run. Files that a killed process left half written are deleted, and so are checkpoints later than
    /// the one that <c>checkpoints/latest</c> names: the run writes them again.
    /// </summary>
    /// <exception cref="InputException">There is no run, another process has locked it, or the folder cannot be written.</exception>
    public static RunFolder Open(string path)
    {
        var config = System.IO.Path.Combine(path, ConfigName);
        if (!File.Exists(config))
            throw new InputException(
                $"{path}: no run there ({ConfigName} is missing). Expected a folder that `{PastedCommand.Of("train")}` made.");
        FileStream? hold = null;
        try
        {
            hold = Hold(path);
            var run = new RunFolder(path, ConfigFile.Load(config, []), hold);
            run.CleanUp();
            return run;
        }
        catch (Exception failure)
        {
            hold?.Dispose();
            if (failure is IOException or UnauthorizedAccessException) throw DurableFile.Unwritable(path, failure);
            throw;
        }
    }

    /// <summary>The folder of a run that rank 0 has locked; this rank only reads it, and writes its part of checkpoints.</summary>
    internal static RunFolder HeldByRank0(string path, RunConfig config) => new(path, config, hold: null);

    /// <summary>The path of a file of the run.</summary>
    public string PathOf(string name) => System.IO.Path.Combine(Path, name);

    /// <summary>The folder of the checkpoint after a number of steps.</summary>
    public string Checkpoint(int step) => Checkpoints($"step-{step}");

    /// <summary>Whether a checkpoint was saved.</summary>
    public bool HasCheckpoint => File.Exists(Checkpoints(CheckpointPointer.Latest));

    /// <summary>The steps of the checkpoints in the folder, the last one first.</summary>
    public IReadOnlyList<int> Steps => !Directory.Exists(Checkpoints("")) ? [] :
        [.. Directory.EnumerateDirectories(Checkpoints(""), "step-*").Select(StepOf).Where(step => step >= 0).OrderDescending()];

    /// <summary>Deletes all checkpoints except the last ones and the best one.</summary>
    public void DeleteCheckpoints(int keep, int? best)
    {
        foreach (var step in Steps.Skip(keep).Where(step => step != best)) Directory.Delete(Checkpoint(step), recursive: true);
    }

    /// <summary>
    /// The last checkpoint before a step; null where there is none. After a step with a non-finite loss that is the last good one, since
    /// the weights before the step may already be bad.
    /// </summary>
    internal string? CheckpointBefore(int step) => Steps.Where(saved => saved < step).Select(Checkpoint).FirstOrDefault();

    /// <summary>Deletes what a run that could not start has written, and its folder unless it holds other files.</summary>
    internal void Rollback()
    {
        if (hold is null) return;
        Dispose();
        string[] written = [ConfigName, EnvironmentName, MetricsLog.FileName, "events.out.tfevents.*"];
        foreach (var file in written.SelectMany(name => Directory.GetFiles(Path, name))) File.Delete(file);
        if (!Directory.EnumerateFileSystemEntries(Path).Any()) Directory.Delete(Path);
    }

    /// <inheritdoc/>
    public void Dispose() => hold?.Dispose();

    private string Checkpoints(string name) => System.IO.Path.Combine(Path, CheckpointPointer.CheckpointsName, name);

    private static int StepOf(string checkpoint) =>
        System.IO.Path.GetFileName(checkpoint).Split("step-") is ["", var number] && int.TryParse(number, out var step) ? step : -1;

    private void CleanUp()
    {
        PartialPath.CleanUp(Path);
        if (!Directory.Exists(Checkpoints(""))) return;
        PartialPath.CleanUp(Checkpoints(""));
        var latest = HasCheckpoint ? StepOf(WholeFile.Text(Checkpoints(CheckpointPointer.Latest)).Trim()) : -1;
        foreach (var step in Steps.Where(step => step > latest)) Directory.Delete(Checkpoint(step), recursive: true);
        var best = Checkpoints(CheckpointPointer.Best);
        if (File.Exists(best) && !Directory.Exists(Checkpoints(WholeFile.Text(best).Trim()))) File.Delete(best);
    }

    // Kept open exclusively while the process works on the run; the system releases it when the process ends, however it ends.
    private static FileStream Hold(string path)
    {
        var file = System.IO.Path.Combine(path, ".lock");
        try
        {
            return new FileStream(file, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, 1, FileOptions.DeleteOnClose);
        }
        catch (IOException failure) when (File.Exists(file))
        {
            throw new InputException(
                $"{path}: another process is training there. Wait for it, or choose another folder with --out.", failure);
        }
    }
}
