using Transformer.Configuration;
using Transformer.Data;
using Transformer.Distributed;
using Transformer.Formats;
using Transformer.Runs;
using static TorchSharp.torch;

namespace Transformer.Training;

/// <summary>
/// The setup of a run before its first step, on all ranks together: the folder, the configuration, the data and the checkpoint to resume
/// from. A rank that fails here, or that differs from the others, ends all of them before anything is changed.
/// </summary>
internal sealed class RunSetup
{
    private readonly bool isNew;

    private RunSetup(
        RunFolder run, Dataset data, RunEnvironment environment, CheckpointFolder? checkpoint, TrainingProgress progress, bool isNew) =>
        (Run, Data, Environment, Checkpoint, Progress, this.isNew) = (run, data, environment, checkpoint, progress, isNew);

    /// <summary>The run's folder, with the resolved configuration; locked by rank 0.</summary>
    public RunFolder Run { get; }

    /// <summary>The run's data.</summary>
    public Dataset Data { get; }

    /// <summary>Threads, ranks and device.</summary>
    public RunEnvironment Environment { get; }

    /// <summary>What a resumed run changes, one line each.</summary>
    public IReadOnlyList<string> Changes { get; private init; } = [];

    /// <summary>The checkpoint to resume from; null for a new run.</summary>
    public CheckpointFolder? Checkpoint { get; }

    /// <summary>The progress so far.</summary>
    public TrainingProgress Progress { get; }

    /// <summary>Sets up a new run.</summary>
    /// <inheritdoc cref="Trainer.Start"/>
    public static RunSetup Start(
        RunConfig config, string folder, Action<TrainingEvent>? report, ICollective ranks, Device? device)
    {
        var environment = RunEnvironment.Current(ranks, device);
        Dataset? data = null;
        RunFolder? run = null;
        try
        {
            var resolved = ranks.RunOnAll(() =>
            {
                data = OpenData(config, ranks, device);
                return Trainer.Resolve(config, data);
            });
            folder = ranks.Gather(folder)[0];
            RankConsistency.Check(ranks, resolved, data!.Checksum, environment.Version);
            ranks.RunOnAll(() =>
            {
                run = ranks.Rank == 0 ? RunFolder.Create(folder, resolved) : RunFolder.HeldByRank0(folder, resolved);
                if (ranks.Rank == 0) environment.Write(run.PathOf(RunEnvironment.FileName));
                if (run.Replaces)
                    report?.Invoke(new TrainingEvent.Warned($"The run in {folder} ended before its first checkpoint and is replaced."));
            });
            if (ranks.Rank == 0) Warn(resolved, isBegun: false, report);
            return new RunSetup(run!, data, environment, checkpoint: null, Beginning(data), isNew: true);
        }
        catch
        {
            data?.Dispose();
            run?.Rollback();
            throw;
        }
    }

    /// <summary>Sets up a run that is resumed.</summary>
    /// <inheritdoc cref="Trainer.Resume"/>
    public static RunSetup Resume(
        string folder, Action<TrainingEvent>? report, ICollective ranks, Device? device, IReadOnlyCollection<string>? overrides)
    {
        var environment = RunEnvironment.Current(ranks, device);
        var held = ranks.RunOnAll(() => ranks.Rank == 0 ? RunFolder.Open(folder, overrides) : null);
        var config = ranks.Gather(held is null ? "" : ConfigFile.ToYaml(held.Config))[0];
        var run = held ?? RunFolder.HeldByRank0(folder, ConfigFile.Parse(config, folder, []));
        Dataset? data = null;
        CheckpointFolder? checkpoint = null;
        try
        {
            ranks.RunOnAll(() => data = ReopenData(run, ranks, device));
            RankConsistency.Check(ranks, run.Config, data!.Checksum, environment.Version);
            // Rank 0 decides whether there is a checkpoint: a rank that does not see it must not start from the beginning beside the
            // others.
            var hasCheckpoint = ranks.Gather(run.HasCheckpoint ? 1 : 0)[0][0] == 1;
            var progress = ranks.RunOnAll(() =>
            {
                if (ranks.Rank == 0) foreach (var difference in environment.ChangesSince(run.PathOf(RunEnvironment.FileName)))
                    report?.Invoke(new TrainingEvent.Warned($"The last digits may differ from an uninterrupted run: {difference}."));
                if (!hasCheckpoint) return Beginning(data);
                checkpoint = CheckpointFolder.Open(run.Path);
                return ProgressOf(checkpoint, run, data);
            });
            RankConsistency.CheckProgress(ranks, progress);
            var changes = ranks.RunOnAll(() => ranks.Rank == 0 ? Change(run, progress, report) : []);
            return new RunSetup(run, data, environment, checkpoint, progress, isNew: false) { Changes = changes };
        }
        catch
        {
            checkpoint?.Dispose();
            data?.Dispose();
            run.Dispose();
            throw;
        }
    }

    /// <summary>Rolls back a run that could not start or resume: deletes what a new one has written so far.</summary>
    public void Rollback()
    {
        Data.Dispose();
        if (isNew) Run.Rollback();
        else Run.Dispose();
    }

    private static Dataset OpenData(RunConfig config, ICollective ranks, Device? device)
    {
        if (config.IsTensorParallel(ranks.Ranks)) TensorParallelShare.Check(config.Model, ranks.Ranks);
        var problems = config.ProblemsOn(ranks.Ranks, $"{device ?? CPU}").ToList();
        if (problems.Count > 0) throw new InputException(string.Join('\n', problems));
        var data = Dataset.Open(config.Data);
        try
        {
            data.RequireContext(config.RowTokens);
            return data;
        }
        catch
        {
            data.Dispose();
            throw;
        }
    }

    // A text may have been moved since.
    private static Dataset ReopenData(RunFolder run, ICollective ranks, Device? device)
    {
        try
        {
            return OpenData(run.Config, ranks, device);
        }
        catch (InputException missing) when (ConfigPaths.Missing(run.Config) is { } key)
        {
            throw new InputException(
                $"{missing.Message}\n  If it was moved: {ShellCommand.Of("train", "--resume", run.Path, "--set", $"{key}=...")}", missing);
        }
    }

    private static TrainingProgress ProgressOf(CheckpointFolder checkpoint, RunFolder run, Dataset data)
    {
        var progress = TrainingCheckpoint.Progress(checkpoint);
        return progress.Corpus == data.Checksum ? progress
            : throw new InputException(
                $"{run.Path}: {data.Name} is not what the run began with. Restore it, or start a new run.");
    }

    // Writes the configuration where something changes. Everything else has been checked.
    private static IReadOnlyList<string> Change(RunFolder run, TrainingProgress progress, Action<TrainingEvent>? report)
    {
        if (run.Changes.Count == 0) return [];
        if (run.Config.Training.Steps < progress.Step)
            throw new InputException(
                $"training.steps: found {run.Config.Training.Steps}, but {run.Path} has done {progress.Step} steps. " +
                "Take that many or more.");
        run.WriteConfig();
        if (run.Config.Training.Steps != run.Before.Training.Steps) Warn(run.Config, isBegun: true, report);
        return RunChanges.OfSchedule(run.Before, run.Config, progress.Step) is { } schedule ? [.. run.Changes, schedule] : run.Changes;
    }

    private static void Warn(RunConfig config, bool isBegun, Action<TrainingEvent>? report)
    {
        if (config.Training.Schedule.WarningFor(config.Training.Steps, isBegun) is { } warning)
            report?.Invoke(new TrainingEvent.Warned(warning));
    }

    private static TrainingProgress Beginning(Dataset data) => new() { Corpus = data.Checksum };
}
