using System.CommandLine;
using Transformer.Configuration;
using Transformer.Distributed;
using Transformer.Runs;
using Transformer.Training;
using static TorchSharp.torch;

namespace Transformer.Cli;

/// <summary><c>train</c>: trains a recipe or a configuration file, or continues a run.</summary>
internal static class TrainVerb
{
    /// <summary>Its name.</summary>
    public const string Name = "train";

    private static readonly Argument<string?> Source = new("RECIPE|FILE")
    {
        Description = $"A recipe's name or a YAML or JSON file; default: {ConfigLibrary.DefaultRecipe}.",
        Arity = ArgumentArity.ZeroOrOne,
    };

    private static readonly Option<string?> Out = new("--out")
    {
        Description = "The run's folder; default: runs/RECIPE.",
        HelpName = "DIR"
    };
    private static readonly Option<string?> Resume = new("--resume")
    {
        Description = "Resume the run in this folder from its last checkpoint. --set training.steps=N makes it longer or shorter: the " +
            "schedule is then that of a run of N steps.",
        HelpName = "DIR"
    };
    private static readonly Option<string?> InitFrom = new("--init-from")
    {
        Description = "Begin a new run with these weights (training.init_from): a run, a checkpoint or a .safetensors file. Without " +
            "RECIPE|FILE, model and tokenizer are theirs too.",
        HelpName = "PATH"
    };
    private static readonly Option<bool> Overfit = new("--overfit-one-batch")
    {
        Description = "Train on one batch only: its loss must fall to near zero."
    };
    private static readonly Option<bool> DryRun = new("--dry-run") { Description = "Estimate time and memory and stop." };
    private static readonly Option<bool> Range = new("--learning-rate-range")
    {
        Description = "Raise the learning rate step by step, report the loss at each, and stop."
    };

    private static readonly Option<bool> Profile = new("--profile")
    {
        Description = $"Show where the time of {StepProfile.Steps} steps goes, and write them as a Chrome trace into the run's folder.",
    };

    /// <summary>The verb.</summary>
    public static Command Create()
    {
        var verb = new Command(Name, "Trains a model: a recipe, a configuration file, or a run to resume.")
        {
            Source, Out, Resume, InitFrom, SharedOptions.Set, SharedOptions.Threads, SharedOptions.Device, Overfit, DryRun, Range, Profile,
            SharedOptions.StopWithInput, SharedOptions.Json,
        };
        verb.SetAction((request, cancellation) => Task.FromResult(Run(request, cancellation)));
        return verb;
    }

    private static int Run(ParseResult request, CancellationToken cancellation)
    {
        var error = request.InvocationConfiguration.Error;
        using var processes = Launch.Join(error, Name);
        ICollective ranks = processes;
        Nccl? devices = null;
        // of rank 0: a launcher gives the others none
        if (request.GetValue(SharedOptions.StopWithInput) && ranks.Rank == 0) cancellation = StandardInput.CancelAtEnd(cancellation);
        using var onCancel = ranks.Ranks == 1 ? default
            : cancellation.Register(() => error.WriteLine($"rank {ranks.Rank}: asked to stop, in {ranks.CurrentOperation}"));
        try
        {
            return RankedVerb.Run(
                request,
                processes,
                () =>
                {
                    SharedOptions.UseThreads(request, processes);
                    var (device, config) = processes.RunOnAll(() => Understand(request, processes));
                    devices = Launch.Connect(processes, device, error);
                    ranks = devices ?? processes;
                    return RankedVerb.Run(request, ranks, () => Run(request, ranks, device, config, cancellation), IsAlike);
                },
                IsAlike);
        }
        finally
        {
            devices?.Dispose();    // after the others have heard of it: leaving takes all ranks
        }

        static bool IsAlike(Exception failure) => failure is OperationCanceledException or NonFiniteLossException;
    }

    private static int Run(ParseResult request, ICollective ranks, Device device, RunConfig? config, CancellationToken cancellation)
    {
        var (output, error) = (request.InvocationConfiguration.Output, request.InvocationConfiguration.Error);
        var choosesThreads = SharedOptions.ChoosesThreads(request, ranks, device);
        if (config is null)
        {
            if (choosesThreads) UseThreadsOf(request.GetValue(Resume)!);
            return Train(report => Trainer.Resume(
                request.GetValue(Resume)!, report, ranks, device, request.GetRequiredValue(SharedOptions.Set)));
        }
        if (request.GetValue(DryRun)) return DryRunReport.Write(config, request, choosesThreads);
        if (request.GetValue(Range)) return LearningRateRangeReport.Write(config, request, cancellation);
        // rank 0's counts
        var folder = request.GetValue(Out) ?? (ranks.Rank > 0 ? "" : NewFolder(Path.GetFileNameWithoutExtension(SourceOf(request))));
        return Train(report => Trainer.Start(config, folder, report, ranks, device));

        int Train(Func<Action<TrainingEvent>, Trainer> start)
        {
            using var display = TrainingDisplay.On(error);
            using var trainer = start(display.Show);
            if (choosesThreads && config is not null) display.Show(trainer.ChooseThreads());
            if (ranks.Ranks == 1 && device.type == TorchSharp.DeviceType.CPU) display.WatchContention(trainer.Folder, get_num_threads());
            trainer.Profile = request.GetValue(Profile) ? new StepProfile() : null;
            TrainingOutcome outcome;
            try
            {
                outcome = trainer.Run(cancellation);
            }
            catch (NonFiniteLossException failure) when (ranks.Rank == 0 && request.GetValue(SharedOptions.Json))
            {
                ScriptJson.Write(output, new { Run = trainer.Folder, Diverged = failure.Message });
                throw;
            }
            catch (OperationCanceledException)
            {
                var kinds = request.GetRequiredValue(SharedOptions.Kinds).SelectMany(path => new[] { "--kinds", path });
                throw new OperationCanceledException(
                    $"interrupted; saved. Continue with: {ShellCommand.Of([Name, "--resume", trainer.Folder, .. kinds])}", cancellation);
            }
            if (ranks.Rank > 0) return CommandLine.Done;
            display.Finish(outcome);
            if (trainer.Profile is { } profile) ProfileReport.Write(profile, trainer.Folder, error);
            if (request.GetValue(SharedOptions.Json)) ScriptJson.Write(output, outcome);
            return CommandLine.Done;
        }
    }

    // A run goes on with the threads of its beginning, since they move last digits; with fewer cores now, a warning says so.
    private static void UseThreadsOf(string folder)
    {
        if (RunEnvironment.Read(Path.Combine(folder, RunEnvironment.FileName)) is { Ranks: 1, Device: "cpu", Threads: var threads })
            set_num_threads(Math.Clamp(threads, 1, Environment.ProcessorCount));
    }

    // The device and, for a new run, its configuration.
    private static (Device Device, RunConfig? Config) Understand(ParseResult request, ICollective ranks)
    {
        var device = SharedOptions.DeviceOf(request, ranks);
        var (onProcessor, onlyMeasures) = (device.type == TorchSharp.DeviceType.CPU, request.GetValue(DryRun) || request.GetValue(Range));
        if (request.GetValue(Resume) is not null)
        {
            if (request.GetValue(Source) is not null || request.GetValue(Out) is not null || request.GetValue(InitFrom) is not null
                || request.GetValue(Overfit) || onlyMeasures)
                throw new InputException("--resume: the run's folder says what to train; " +
                    "leave out the recipe and every option but --set, --threads, --device, --kinds, --profile and --json.");
            return (device, null);
        }
        if (ranks.Ranks > 1 && onlyMeasures)
            throw new InputException("--dry-run and --learning-rate-range are for one process; leave out mpirun or srun.");
        if (onlyMeasures && (!onProcessor || request.GetValue(Profile)))
            throw new InputException(
                "--dry-run and --learning-rate-range measure on the CPU and are not profiled; leave out --device and --profile.");
        IEnumerable<string> overrides = request.GetRequiredValue(SharedOptions.Set);
        if (request.GetValue(Overfit)) overrides = overrides.Append("training.overfit_one_batch=true");
        if (request.GetValue(InitFrom) is { } weights)
            overrides = [
                .. request.GetValue(Source) is null ? ModelOf(weights, overrides) : [], .. overrides,
                $"training.init_from={ConfigJson.ToJson(weights).ToJsonString()}"];
        return (device, TrainingSource.Load(SourceOf(request), overrides, Name));
    }

    // What begins with weights and names no recipe has their model and their tokenizer.
    private static IEnumerable<string> ModelOf(string weights, IEnumerable<string> overrides)
    {
        if (overrides.FirstOrDefault(set => set.StartsWith("model.preset", StringComparison.Ordinal)) is { } preset)
            throw new InputException($"--set {preset}: the model is that of --init-from {weights}. Leave it out, or name a recipe.");
        return InitialWeights.Overrides(weights);
    }

    private static string SourceOf(ParseResult request) => request.GetValue(Source) ?? ConfigLibrary.DefaultRecipe;

    // runs/NAME, or runs/NAME-2 and so on where a run is there.
    private static string NewFolder(string name)
    {
        var first = Path.Combine("runs", name);
        return Enumerable.Range(1, int.MaxValue).Select(n => n == 1 ? first : $"{first}-{n}").First(RunFolder.IsFree);
    }
}
