using System.CommandLine;
using Transformer.Configuration;
using Transformer.Distributed;
using Transformer.Training;

namespace Transformer.Cli;

/// <summary><c>train</c>: trains a recipe or a configuration file, or continues a run.</summary>
internal static class TrainVerb
{
    private static readonly Argument<string?> Source = new("RECIPE|FILE")
    {
        Description = $"A recipe's name or a YAML or JSON file; {ConfigLibrary.DefaultRecipe} where absent.",
        Arity = ArgumentArity.ZeroOrOne,
    };

    private static readonly Option<string?> Out = new("--out") { Description = "The run's folder; runs/RECIPE where absent.", HelpName = "DIR" };
    private static readonly Option<string?> Resume = new("--resume") { Description = "Continue the run in this folder from its last checkpoint.", HelpName = "DIR" };
    private static readonly Option<bool> Overfit = new("--overfit-one-batch") { Description = "Train on one batch only: its loss must fall to near zero." };
    private static readonly Option<bool> DryRun = new("--dry-run") { Description = "Estimate time and memory and stop." };
    private static readonly Option<bool> Range = new("--learning-rate-range") { Description = "Raise the learning rate step by step, report the loss at each, and stop." };

    private static readonly Option<bool> Profile = new("--profile")
    {
        Description = $"Show where the time of {StepProfile.Steps} steps goes, and write them as a Chrome trace into the run's folder.",
    };

    /// <summary>The verb.</summary>
    public static Command Create()
    {
        var verb = new Command("train", "Trains a model: a recipe, a configuration file, or a run to be continued.")
        {
            Source, Out, Resume, SharedOptions.Set, SharedOptions.Threads, SharedOptions.Device, Overfit, DryRun, Range, Profile, SharedOptions.Json,
        };
        verb.SetAction((request, cancellation) => Task.FromResult(Run(request, cancellation)));
        return verb;
    }

    private static int Run(ParseResult request, CancellationToken cancellation)
    {
        var error = request.InvocationConfiguration.Error;
        using var ranks = Launch.Join(error);
        SharedOptions.UseThreads(request, ranks);
        using var told = ranks.Ranks == 1 ? default : cancellation.Register(() => error.WriteLine($"rank {ranks.Rank}: asked to end, in {ranks.Doing}"));
        return RankedVerb.Run(request, ranks, () => Run(request, ranks, cancellation), failure => failure is OperationCanceledException or NonFiniteLossException);
    }

    private static int Run(ParseResult request, ICollective ranks, CancellationToken cancellation)
    {
        var (output, error) = (request.InvocationConfiguration.Output, request.InvocationConfiguration.Error);
        var source = request.GetValue(Source) ?? ConfigLibrary.DefaultRecipe;
        var device = SharedOptions.DeviceOf(request);
        if (ranks.Ranks > 1 && device.type != TorchSharp.DeviceType.CPU)
            throw new InputException($"--device {device}: several ranks add up their gradients by MPI, in the processors' memory; take cpu, or one rank.");
        if (request.GetValue(Resume) is { } resumed)
        {
            if (request.GetValue(Source) is not null || request.GetValue(SharedOptions.Set)!.Length > 0 || request.GetValue(Out) is not null
                || request.GetValue(Overfit) || request.GetValue(DryRun) || request.GetValue(Range))
                throw new InputException("--resume: the run's folder says what to train; leave out the recipe and every option but --threads, --device, --profile and --json.");
            return Train(report => Trainer.Resume(resumed, report, ranks, device));
        }

        var overrides = request.GetValue(SharedOptions.Set)!.AsEnumerable();
        if (request.GetValue(Overfit)) overrides = overrides.Append("training.overfit_one_batch=true");
        var config = ranks.Together(() =>
        {
            if (ranks.Ranks > 1 && (request.GetValue(DryRun) || request.GetValue(Range)))
                throw new InputException("--dry-run and --learning-rate-range are for one process; leave out mpirun or srun.");
            return ConfigFile.Load(source, overrides);
        });
        if ((request.GetValue(DryRun) || request.GetValue(Range)) && (device.type != TorchSharp.DeviceType.CPU || request.GetValue(Profile)))
            throw new InputException("--dry-run and --learning-rate-range measure on the processor and are not profiled; leave out --device and --profile.");
        if (request.GetValue(DryRun)) return DryRunReport.Write(config, request);
        if (request.GetValue(Range)) return LearningRateRangeReport.Write(config, request, cancellation);
        var folder = request.GetValue(Out) ?? NewFolder(Path.GetFileNameWithoutExtension(source));
        return Train(report => Trainer.Start(config, folder, report, ranks, device));

        int Train(Func<Action<TrainingEvent>, Trainer> start)
        {
            using var display = TrainingDisplay.On(error);
            using var trainer = start(display.Show);
            trainer.Profile = request.GetValue(Profile) ? new StepProfile() : null;
            TrainingOutcome outcome;
            try
            {
                outcome = trainer.Run(cancellation);
            }
            catch (OperationCanceledException)
            {
                throw new OperationCanceledException($"interrupted; saved. Continue with: train --resume {trainer.Folder}", cancellation);
            }
            if (ranks.Rank > 0) return CommandLine.Done;
            display.Finish(outcome);
            if (trainer.Profile is { } profile) ProfileReport.Write(profile, trainer.Folder, error);
            if (request.GetValue(SharedOptions.Json)) ScriptJson.Write(output, outcome);
            return CommandLine.Done;
        }
    }

    // runs/NAME, or runs/NAME-2 and so on where that is taken.
    private static string NewFolder(string name)
    {
        var first = Path.Combine("runs", name);
        return Enumerable.Range(1, int.MaxValue).Select(n => n == 1 ? first : $"{first}-{n}").First(folder => !Path.Exists(folder));
    }
}
