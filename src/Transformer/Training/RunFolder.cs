using Transformer.Configuration;
using Transformer.Distributed;
using Transformer.Files;
using Transformer.Formats;
using Transformer.Runs;

namespace Transformer.Training;

/// <summary>The folder of one run, locked by one process at a time: the resolved configuration, metrics, samples and checkpoints.</summary>
public sealed class RunFolder : IDisposable
{
    /// <summary>The name of the file with the resolved configuration.</summary>
    public const string ConfigName = "config.yaml";

    private readonly FileStream? hold;

    private RunFolder(string path, RunConfig config, FileStream? hold) => (Path, Config, Before, this.hold) = (path, config, config, hold);

    /// <summary>Its path.</summary>
    public string Path { get; }

    /// <summary>The resolved configuration, enough to repeat the run.</summary>
    public RunConfig Config { get; }

    /// <summary>The configuration before what was changed when the run was opened.</summary>
    internal RunConfig Before { get; private init; }

    /// <summary>What was changed when the run was opened, one line each.</summary>
    internal IReadOnlyList<string> Changes { get; private init; } = [];

    /// <summary>Whether it takes the place of a run that ended before its first checkpoint.</summary>
    internal bool Replaces { get; private init; }

    // Otherwise a tokenizer there is the user's.
    private bool WroteTokenizer { get; init; }

    /// <summary>
    /// Whether a new run can have a folder: there is none, or nothing but a run that ended before its first checkpoint.
    /// </summary>
    public static bool IsFree(string path)
    {
        if (!System.IO.Path.Exists(path)) return true;
        if (!IsUnsaved(path)) return Directory.Exists(path) && Directory.EnumerateFileSystemEntries(path).All(IsLeftover);
        try
        {
            Hold(path).Dispose();
            return true;
        }
        catch (Exception e) when (e is InputException or UnauthorizedAccessException)
        {
            return false;    // another process trains there
        }
    }

    /// <summary>
    /// The configuration of the run that a path is, or that the checkpoint at the path belongs to; null where there is none. A config.yaml
    /// without checkpoints beside it may be anybody's.
    /// </summary>
    public static string? ConfigOf(string path)
    {
        var folder = System.IO.Path.TrimEndingDirectorySeparator(
            System.IO.Path.GetFullPath(File.Exists(path) ? System.IO.Path.Combine(path, "..") : path));
        if (System.IO.Path.GetDirectoryName(folder) is { } parent
            && System.IO.Path.GetFileName(parent) == CheckpointPointer.CheckpointsName)
            folder = System.IO.Path.GetDirectoryName(parent)!;
        var config = System.IO.Path.Combine(folder, ConfigName);
        return File.Exists(config) && Directory.Exists(CheckpointsIn(folder)) ? config : null;
    }

    // Whether a folder holds a run without any checkpoint. A config.yaml alone may be a user's own.
    private static bool IsUnsaved(string path) =>
        File.Exists(System.IO.Path.Combine(path, ConfigName)) && File.Exists(System.IO.Path.Combine(path, RunEnvironment.FileName))
        && !File.Exists(System.IO.Path.Combine(CheckpointsIn(path), CheckpointPointer.Latest)) && StepsIn(path).Count == 0;

    // What a process that was killed before it wrote the configuration has left.
    private static bool IsLeftover(string entry) =>
        System.IO.Path.GetFileName(entry) == FolderLock.Name || PartialPath.IsLeftover(entry);

    /// <summary>Creates the folder of a new run. One that ended before its first checkpoint is replaced.</summary>
    /// <exception cref="InputException">A run is there already, or the folder cannot be written.</exception>
    public static RunFolder Create(string path, RunConfig config)
    {
        FileStream? hold = null;
        try
        {
            Directory.CreateDirectory(path);
            hold = Hold(path);
            var replaces = IsUnsaved(path);
            if (File.Exists(System.IO.Path.Combine(path, ConfigName)) && !replaces)
                throw new InputException($"{path}: a run exists there already. Choose another folder with --out, or resume it: " +
                    ShellCommand.Of("train", "--resume", path));
            var run = WithOwnTokenizer(new RunFolder(path, config, hold) { Replaces = replaces });
            if (replaces) run.DeleteFiles();
            run.WriteConfig();
            return run;
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
    /// <param name="path">Its path.</param>
    /// <param name="overrides">What is to change, as for <see cref="ConfigFile.Parse"/>; written by <see cref="WriteConfig"/>.</param>
    /// <exception cref="InputException">There is no run, another process has locked it, a key may not change, or the folder cannot be
    /// written.</exception>
    public static RunFolder Open(string path, IReadOnlyCollection<string>? overrides = null)
    {
        var config = System.IO.Path.Combine(path, ConfigName);
        if (!File.Exists(config))
            throw new InputException($"{path}: no run there ({ConfigName} is missing). {Instead(path)}");
        FileStream? hold = null;
        try
        {
            hold = Hold(path);
            var before = ConfigFile.Load(config, []);
            var now = overrides is null or { Count: 0 } ? before : ConfigPaths.Absolute(ConfigFile.Load(config, overrides));
            var run = new RunFolder(path, now, hold) { Before = before, Changes = RunChanges.Between(path, before, now) };
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
    public IReadOnlyList<int> Steps => StepsIn(Path);

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
        DeleteFiles();
        if (WroteTokenizer) foreach (var name in TokenizerFolder.Written) File.Delete(PathOf(name));
        if (!Directory.EnumerateFileSystemEntries(Path).Any()) Directory.Delete(Path);
    }

    /// <summary>Writes the configuration.</summary>
    /// <exception cref="InputException">It cannot be written.</exception>
    internal void WriteConfig()
    {
        // from the run's own folder, so that the run can be moved with it
        var data = Config.Data.Tokenizer is FileTokenizerConfig
            ? Config.Data with { Tokenizer = new FileTokenizerConfig { Path = TokenizerFolder.FileName } } : Config.Data;
        DurableFile.WriteText(PathOf(ConfigName), ConfigFile.ToYaml(Config with { Data = data }));
    }

    /// <inheritdoc/>
    public void Dispose() => hold?.Dispose();

    // A tokenizer that lies in another run's checkpoint may be deleted there.
    private static RunFolder WithOwnTokenizer(RunFolder run)
    {
        if (run.Config.Data.Tokenizer is not FileTokenizerConfig file) return run;
        var own = System.IO.Path.GetFullPath(run.PathOf(TokenizerFolder.FileName));
        if (file.Path == own) return run;
        if (!run.Replaces && TokenizerFolder.Written.Select(run.PathOf).FirstOrDefault(File.Exists) is { } taken)
            throw new IOException($"{taken} is there already.");
        TokenizerFolder.Write(run.Path, TokenizerFolder.FromConfig(file));
        var data = run.Config.Data with { Tokenizer = new FileTokenizerConfig { Path = own } };
        return new(run.Path, run.Config with { Data = data }, run.hold) { Replaces = run.Replaces, WroteTokenizer = true };
    }

    private void DeleteFiles()
    {
        string[] written = [ConfigName, RunEnvironment.FileName, MetricsLog.FileName, SampleLog.FileName, "events.out.tfevents.*"];
        foreach (var file in written.SelectMany(name => Directory.GetFiles(Path, name))) File.Delete(file);
    }

    // What a path that is no run could have been meant for.
    private static string Instead(string path)
    {
        if (ConfigOf(path) is { } config && System.IO.Path.GetDirectoryName(config) is { } run)
            return $"It is a checkpoint of the run {run}: {ShellCommand.Of("train", "--resume", run)}";
        if (WeightFiles.In(path))
            return "It holds weights; a new run begins with them: " +
                ShellCommand.Of("train", "--init-from", path, "--set", "data.path=TEXT");
        if (System.IO.Path.GetExtension(path) is ".yaml" or ".yml" or ".json" && File.Exists(path))
            return $"It is a configuration; a new run of it is {ShellCommand.Of("train", path)}";
        return $"Expected a folder that `{ShellCommand.Of("train")}` made.";
    }

    private string Checkpoints(string name) => System.IO.Path.Combine(CheckpointsIn(Path), name);

    private static string CheckpointsIn(string path) => System.IO.Path.Combine(path, CheckpointPointer.CheckpointsName);

    private static IReadOnlyList<int> StepsIn(string path) => !Directory.Exists(CheckpointsIn(path)) ? [] :
        [.. Directory.EnumerateDirectories(CheckpointsIn(path), "step-*").Select(StepOf).Where(step => step >= 0).OrderDescending()];

    private static int StepOf(string checkpoint) =>
        System.IO.Path.GetFileName(checkpoint).Split("step-") is ["", var number] && int.TryParse(number, out var step) ? step : -1;

    private void CleanUp()
    {
        PartialPath.CleanUp(Path);
        if (!Directory.Exists(Checkpoints(""))) return;
        PartialPath.CleanUp(Checkpoints(""));
        var latest = HasCheckpoint ? StepOf(CheckpointPointer.ReadName(Checkpoints(CheckpointPointer.Latest))) : -1;
        foreach (var step in Steps.Where(step => step > latest)) Directory.Delete(Checkpoint(step), recursive: true);
        var best = Checkpoints(CheckpointPointer.Best);
        if (File.Exists(best) && !Directory.Exists(Checkpoints(CheckpointPointer.ReadName(best)))) File.Delete(best);
    }

    private static FileStream Hold(string path) =>
        FolderLock.Hold(path, "another process is training there. Wait for it, or choose another folder with --out.");
}
