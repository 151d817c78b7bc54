using Transformer.Configuration;
using Transformer.Files;
using Transformer.Training;

namespace Transformer.Comparison;

/// <summary>
/// Compares designs: matches their sizes, finds each one's rate, trains each with the same seeds and tests whether they differ. It lives in
/// a folder: what has ended is not trained again, so that an ablation goes on after an interruption and after a run that failed.
/// </summary>
public sealed class Ablation : IDisposable
{
    private readonly FileStream hold;

    private Ablation(AblationPlan plan, string folder, FileStream hold) => (Plan, Folder, this.hold) = (plan, folder, hold);

    /// <summary>What it compares.</summary>
    public AblationPlan Plan { get; }

    /// <summary>Where it lives.</summary>
    public string Folder { get; }

    /// <summary>Begins an ablation, or goes on with the one in the folder.</summary>
    /// <param name="request">What to compare.</param>
    /// <param name="folder">Where it lives; created here.</param>
    /// <param name="cancellation">Ends the measurement of times.</param>
    /// <exception cref="InputException">The designs cannot be compared, or the folder holds another ablation.</exception>
    public static Ablation Open(AblationRequest request, string folder, CancellationToken cancellation = default)
    {
        // Found wrong, it leaves no folder behind.
        var plan = AblationPlan.IsIn(folder) ? null : AblationPlan.Of(request, cancellation);
        try
        {
            Directory.CreateDirectory(folder);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw DurableFile.Unwritable(folder, failure);
        }
        var hold = FolderLock.Hold(folder, "another process compares there. Wait for it, or choose another folder with --out.");
        try
        {
            if (plan is null || AblationPlan.IsIn(folder)) plan = AblationPlan.Read(folder, request);
            else plan.Write(folder);
            return new(plan, folder, hold);
        }
        catch
        {
            hold.Dispose();
            throw;
        }
    }

    /// <summary>Trains what is not trained yet.</summary>
    /// <param name="train">Trains a run: the file of its configuration, and the folder that it lives in.</param>
    /// <param name="jobs">How many runs are trained at once.</param>
    /// <param name="report">Told what happens, by one thread at a time.</param>
    /// <param name="cancellation">Asks the runs to save and end.</param>
    /// <exception cref="OperationCanceledException">It was cancelled; what has ended is kept.</exception>
    public async Task<AblationResult> RunAsync(
        Func<string, string, CancellationToken, Task<CellResult>> train, int jobs, Action<AblationEvent> report,
        CancellationToken cancellation)
    {
        var runs = new AblationRuns(Folder, train, jobs, report, cancellation);
        var (sweep, isTransfer) = (Plan.Request.Sweep, Plan.Request.Mode == AblationMode.RateTransfer);
        runs.Expect(Plan.Request.Seeds * Plan.Designs.Count * (isTransfer ? sweep!.Values.Count : 1));
        var (choices, tried) = sweep is null || isTransfer ? ([], []) : await ChooseAsync(sweep, runs).ConfigureAwait(false);
        var seeds = Enumerable.Range(0, Plan.Request.Seeds).Select(seed => Plan.Designs[0].Config.Training.Seed + seed);
        AblationCell[] cells = [.. seeds.SelectMany(seed => Plan.Designs.SelectMany((design, i) =>
            ValuesOf(i).Select(value => new AblationCell(design, seed, sweep, value))))];
        var results = await runs.ResultsAsync(cells).ConfigureAwait(false);
        return new AblationResult(
            Plan, choices, [.. cells.Zip(results)], tried, Environments(cells), isTransfer ? Plan.Coordinates(cancellation) : []);

        IEnumerable<double?> ValuesOf(int design) => isTransfer ? sweep!.Values.Select(value => (double?)value)
            : [choices.Count == 0 ? null : choices[design].Value];
    }

    /// <inheritdoc/>
    public void Dispose() => hold.Dispose();

    // Each design's best value. The seed is none of the compared ones: the one by which a rate was chosen would favour it.
    private async Task<(IReadOnlyList<SweepChoice> Choices, IReadOnlyList<(AblationCell, CellResult)> Tried)> ChooseAsync(
        Sweep sweep, AblationRuns runs)
    {
        var seed = Plan.Designs[0].Config.Training.Seed - 1;
        var left = Plan.Designs.Select(_ => sweep.Values).ToArray();
        var all = new List<(AblationCell Cell, CellResult Result)>();
        for (var halvings = Plan.Request.Halving ? (int)Math.Ceiling(Math.Log2(sweep.Values.Count)) - 1 : 0; halvings >= 0; halvings--)
        {
            AblationCell[] cells = [.. Plan.Designs.SelectMany((design, i) => left[i].Select(value => new AblationCell(
                design, seed, sweep, value, Math.Max(1, design.Config.Training.Steps >> halvings))))];
            runs.Expect(cells.Length);
            (AblationCell Cell, CellResult Result)[] tried = [.. cells.Zip(await runs.ResultsAsync(cells).ConfigureAwait(false))];
            all.AddRange(tried);
            foreach (var (i, design) in Plan.Designs.Index())
            {
                var ranked = tried.Where(run => run.Cell.Design == design).OrderBy(run => Worth(run.Result)).ToList();
                // One that failed by accident may have been the best: without it there is no choice.
                left[i] = ranked.Exists(run => run.Result is { Outcome: null, HasDiverged: false }) ? []
                    : [.. ranked.Take((ranked.Count + 1) / 2).Where(run => double.IsFinite(Worth(run.Result)))
                        .Select(run => run.Cell.Value!.Value)];
            }
        }
        var choices = Plan.Designs.Select((design, i) => new SweepChoice(design, sweep, left[i].Count == 0 ? null : left[i][0])).ToList();
        foreach (var choice in choices) runs.Report(new AblationEvent.Chosen(choice));
        return (choices, all);
    }

    // Lower is better; what has failed is worst.
    private double Worth(CellResult result) => result.Outcome is { } outcome && Plan.Measure.Of(outcome) is { } value
        ? Plan.Measure.IsBetterGreater() ? -value : value : double.PositiveInfinity;

    // Threads, processor or version that differ between runs move last digits.
    private IReadOnlyList<string> Environments(IEnumerable<AblationCell> cells)
    {
        var environments = cells
            .Select(cell => Path.Combine(AblationRuns.FolderOf(Folder, cell), RunEnvironment.FileName)).Where(File.Exists)
            .Select(path => RunEnvironment.Read(path)!).Distinct().ToList();
        var versions = environments.Select(environment => environment.Version).Distinct().ToList();
        return
        [
            .. environments.Skip(1).SelectMany(other => other.DifferencesFrom(environments[0])).Distinct(),
            .. versions.Count > 1 ? [$"version: {string.Join(" and ", versions)}"] : (string[])[],
        ];
    }
}
