using Transformer.Native;
using Transformer.Training;

namespace Transformer.Reproductions;

/// <summary>A published claim, with what is trained or computed to see whether it holds, and the bounds that decide.</summary>
public sealed record Reproduction
{
    /// <summary>The seed of a row that names no other.</summary>
    public const int DefaultSeed = 1337;

    /// <summary>Its name on the command line.</summary>
    public required string Name { get; init; }

    /// <summary>Authors, year and arXiv number.</summary>
    public required string Paper { get; init; }

    /// <summary>The claim, in one sentence.</summary>
    public required string Claim { get; init; }

    /// <summary>How ours is smaller than the paper's experiment; null where it is not.</summary>
    public string? Smaller { get; init; }

    /// <summary>About how many minutes it takes on one thread.</summary>
    public required double Minutes { get; init; }

    /// <summary>The seed, chosen before the run; where it is another than the default, <see cref="Smaller"/> says why.</summary>
    public int Seed { get; init; } = DefaultSeed;

    /// <summary>What is trained or computed, in this order.</summary>
    public required IReadOnlyList<Arm> Arms { get; init; }

    /// <summary>What decides.</summary>
    public required IReadOnlyList<Figure> Figures { get; init; }

    /// <summary>The folder of this reproduction's arms within the folder of all.</summary>
    public string FolderIn(string folder) => Path.Combine(folder, "runs", Name);

    /// <summary>
    /// Runs the arms one after the other on one thread, those that an earlier call has finished excepted, and judges the figures.
    /// </summary>
    /// <param name="folder">The folder of all reproductions.</param>
    /// <param name="seed">Another seed than its own.</param>
    /// <param name="report">Told how far it is.</param>
    /// <param name="cancellation">Ends it; called again, it goes on.</param>
    /// <exception cref="Configuration.InputException">The folder holds another seed's results, or cannot be written.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled; what it has is saved.</exception>
    public ReproductionResult Run(
        string folder, int? seed = null, Action<ArmProgress>? report = null, CancellationToken cancellation = default)
    {
        using var oneThread = new OneThread();
        var (measures, seconds) = (new Dictionary<string, IReadOnlyDictionary<string, double>>(), 0.0);
        foreach (var (index, arm) in Arms.Index())
        {
            cancellation.ThrowIfCancellationRequested();
            Report(step: 0, steps: 0, secondsLeft: 0);
            var steps = 0;
            (measures[arm.Name], var own) = arm.Run(Path.Combine(FolderIn(folder), arm.Name), seed ?? Seed, Show, cancellation);
            seconds += own;

            void Show(TrainingEvent happened)
            {
                if (happened is TrainingEvent.Started started) steps = started.Config.Training.Steps;
                if (happened is TrainingEvent.Stepped stepped) Report(stepped.Metrics.Step, steps, stepped.SecondsLeft);
            }

            void Report(int step, int steps, double secondsLeft) =>
                report?.Invoke(new ArmProgress(arm.Name, index + 1, Arms.Count, step, steps, secondsLeft));
        }
        return new(Name, Paper, Claim, seed ?? Seed, Judge(new ArmResults(measures)), seconds);
    }

    private IReadOnlyList<FigureResult> Judge(ArmResults arms) =>
    [
        .. from figure in Figures
           let ours = figure.Of(arms)
           select new FigureResult(figure.What, figure.Published, figure.Bound.ToString(), ours, figure.Bound.Holds(ours)),
    ];
}
