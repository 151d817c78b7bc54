using System.CommandLine;
using Transformer.Comparison;
using Transformer.Configuration;
using Transformer.Distributed;
using Transformer.Files;
using Transformer.Runs;
using Transformer.Training;

namespace Transformer.Cli;

/// <summary><c>ablate</c>: compares designs fairly.</summary>
internal static class AblateVerb
{
    private const string Name = "ablate";

    private static readonly Argument<string> Source = new("RECIPE|FILE")
    {
        Description = "What the designs are variations of: a recipe's name or a YAML or JSON file.",
    };

    private static readonly Option<string[]> Vary = new("--vary")
    {
        Description = "A key and its values, e.g. --vary model.position.kind=rope,alibi; given again, all combinations are compared. The " +
            "first values make the reference.",
        HelpName = "KEY=A,B",
        DefaultValueFactory = _ => [],
    };

    private static readonly Option<int> Seeds = new Option<int>("--seeds")
    {
        Description = "The seeds of each design, from training.seed on.",
        HelpName = "N",
        DefaultValueFactory = _ => 3,
    }.Whole(1, 10_000);

    private static readonly Option<MatchKind?> Match = new("--match")
    {
        Description = $"What designs are made equal in by their MLP's hidden width, then by their width: " +
            $"{string.Join(", ", ScriptJson.Names<MatchKind>())}; default: parameters.",
        HelpName = "WHAT",
        CustomParser = result => ScriptJson.Parse<MatchKind>("--match", result).Select(kind => (MatchKind?)kind).FirstOrDefault(),
    };

    private static readonly Option<Measure?> MeasureOption = new("--measure")
    {
        Description = $"What is compared: {string.Join(", ", ScriptJson.Names<Measure>())}; default: what suits the data.",
        HelpName = "WHAT",
        CustomParser = result => ScriptJson.Parse<Measure>("--measure", result).Select(measure => (Measure?)measure).FirstOrDefault(),
    };

    private static readonly Option<string?> SweepOption = new("--sweep")
    {
        Description = "A key whose best value each design gets, found with a seed of its own, e.g. " +
            "--sweep training.optimizer.learning_rate=1e-4:1e-2:log, five points unless :POINTS follows.",
        HelpName = "KEY=LOW:HIGH:log",
    };

    private static readonly Option<bool> Halving = new("--halving")
    {
        Description = "Sweep by successive halving: all values on short runs, the better half on longer ones.",
    };

    private static readonly Option<bool> Scaling = new("--scaling")
    {
        Description = "Fit how the loss falls with parameters and tokens, over the sizes that --vary gives.",
    };

    private static readonly Option<bool> Transfer = new("--rate-transfer")
    {
        Description = "Find how the best learning rate depends on the width: --vary model.width, --sweep the rate.",
    };

    private static readonly Option<string?> Out = new("--out")
    {
        Description = "The ablation's folder; default: ablations/RECIPE. The same command goes on with what is there.",
        HelpName = "DIR",
    };

    private static readonly Option<int?> Jobs = new Option<int?>("--jobs")
    {
        Description = "How many runs are trained at once; default: as many as there are cores and memory for.",
        HelpName = "N",
    }.Whole(1, 1024);

    private static readonly Option<string> Launcher = new("--launcher")
    {
        Description = "A command that starts each run on several ranks, e.g. --launcher 'mpirun -np 2'.",
        HelpName = "COMMAND",
        DefaultValueFactory = _ => "",
    };

    private static readonly Option<bool> DryRun = new("--dry-run") { Description = "Show the designs, made equal, and stop." };

    /// <summary>The verb.</summary>
    public static Command Create()
    {
        var verb = new Command(Name, "Compares designs at equal size, each with the same seeds, and tests what the evidence allows.")
        {
            Source, Vary, SharedOptions.Set, Seeds, Match, SweepOption, Halving, MeasureOption, Scaling, Transfer, Out, Jobs,
            SharedOptions.Threads, SharedOptions.Device, Launcher, DryRun, SharedOptions.Json,
        };
        verb.SetAction(RunAsync);
        return verb;
    }

    private static async Task<int> RunAsync(ParseResult request, CancellationToken cancellation)
    {
        if (Launch.Ranks > 1)
            throw new InputException("ablate starts its runs itself: leave out mpirun or srun, and give it as --launcher 'mpirun -np N'.");
        var source = request.GetRequiredValue(Source);
        var folder = request.GetValue(Out) ?? Path.Combine("ablations", Path.GetFileNameWithoutExtension(source));
        var asked = Asked(request, source, folder);
        var display = new AblationDisplay(request.InvocationConfiguration.Error);
        if (request.GetValue(DryRun))
        {
            var plan = AblationPlan.Of(asked, cancellation);
            display.Show(plan);
            if (request.GetValue(SharedOptions.Json)) AblationJson.Write(request.InvocationConfiguration.Output, plan);
            return CommandLine.Done;
        }
        using var ablation = Ablation.Open(asked, folder, cancellation);
        display.Show(ablation.Plan);
        var jobs = JobsOf(request, asked, ablation.Plan);
        AblationResult result;
        try
        {
            result = await ablation.RunAsync(
                (file, run, stop) => TrainAsync(request, asked.Threads, file, run, stop), jobs, display.Show, cancellation)
                .ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            throw new OperationCanceledException("interrupted; saved. The same command goes on.", cancellation);
        }
        AblationReport.Write(result, folder);
        if (request.GetValue(SharedOptions.Json)) AblationJson.Write(request.InvocationConfiguration.Output, result, folder);
        else request.InvocationConfiguration.Output.Write(AblationReport.Markdown(result));
        return result.Cells.All(cell => cell.Result.Outcome is not null || cell.Result.HasDiverged) ? CommandLine.Done : CommandLine.Failed;
    }

    private static AblationRequest Asked(ParseResult request, string source, string folder)
    {
        _ = TrainingSource.Load(source, request.GetRequiredValue(SharedOptions.Set), Name, ConfigLibrary.DefaultRecipe);
        var variations = request.GetRequiredValue(Vary).Select(Variation.Parse).ToList();
        var sweep = request.GetValue(SweepOption) is { } text ? Sweep.Parse(text) : null;
        var mode = (request.GetValue(Scaling), request.GetValue(Transfer)) switch
        {
            (true, true) => throw new InputException("--scaling: found beside --rate-transfer; give one of the two"),
            (true, false) => AblationMode.Scaling,
            (false, true) => AblationMode.RateTransfer,
            _ => AblationMode.Compare,
        };
        var match = request.GetValue(Match) ?? (mode == AblationMode.Compare ? MatchKind.Parameters : MatchKind.None);
        if (match == MatchKind.Time && IsElsewhere(request))
            throw new InputException("--match time: found beside --device or --launcher, but times are measured on the CPU by one " +
                "process; take --match flops");
        var designs = variations.Aggregate(1, (count, variation) => count * variation.Values.Count);
        var jobs = request.GetValue(Jobs) ?? (IsElsewhere(request) ? 1
            : Math.Min(designs * Math.Max(request.GetValue(Seeds), sweep?.Values.Count ?? 0), Environment.ProcessorCount));
        return new()
        {
            Source = source,
            Overrides = request.GetRequiredValue(SharedOptions.Set),
            Variations = variations,
            Mode = mode,
            Seeds = request.GetValue(Seeds),
            Match = match,
            Sweep = sweep,
            Halving = request.GetValue(Halving),
            Measure = request.GetValue(MeasureOption),
            Threads = request.GetValue(SharedOptions.Threads) ?? AblationPlan.ThreadsIn(folder)
                ?? Math.Max(1, Environment.ProcessorCount / jobs),
        };
    }

    // On several ranks or another device, of which there is one for all runs.
    private static bool IsElsewhere(ParseResult request) =>
        request.GetRequiredValue(Launcher).Length > 0 || request.GetRequiredValue(SharedOptions.Device) != "cpu";

    private static int JobsOf(ParseResult request, AblationRequest asked, AblationPlan plan)
    {
        if (request.GetValue(Jobs) is { } jobs) return jobs;
        if (IsElsewhere(request)) return 1;
        var memory = SystemFacts.FreeMemory() / plan.Designs.Zip(plan.Costs, (design, cost) => cost.BytesOf(design.Config)).Max();
        return (int)Math.Clamp(memory, 1, Math.Max(1, Environment.ProcessorCount / asked.Threads));
    }

    private static async Task<CellResult> TrainAsync(
        ParseResult request, int threads, string file, string run, CancellationToken stop)
    {
        await FolderLock.WaitAsync(run, stop).ConfigureAwait(false);
        string[] words =
        [
            TrainVerb.Name, .. RunFolder.IsFree(run) ? (string[])[file, "--out", run] : ["--resume", run],
            "--threads", $"{threads}", "--device", request.GetRequiredValue(SharedOptions.Device),
            .. request.GetRequiredValue(SharedOptions.Kinds).SelectMany(path => (string[])["--kinds", path]), "--json",
        ];
        var launcher = request.GetRequiredValue(Launcher).Split(' ', StringSplitOptions.RemoveEmptyEntries);
        var child = await ChildProcess.RunAsync(words, launcher, stop).ConfigureAwait(false);
        var line = child.Output.Split('\n').LastOrDefault(text => text.StartsWith('{'));
        return child.Code == CommandLine.Done && line is not null
            ? new(ScriptJson.Read<TrainingOutcome>(line))
            : new(
                null, $"exit code {child.Code}: {child.Error.TrimEnd().Split('\n')[^1].TrimEnd()}",
                HasDiverged: line?.Contains("\"diverged\"") is true);
    }
}
