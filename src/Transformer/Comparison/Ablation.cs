using Transformer.Configuration;
using Transformer.Files;
using Transformer.Runs;
using Transformer.Training;

namespace Transformer.Comparison;

/// <summary>
/// Compares designs: matches their sizes, finds each one's rate, trains each with the same seeds and tests whether they differ. It lives in
/// a folder: what has ended is not trained again, so that an ablation goes on after an interruption and after a run that failed.
/// </summary>
public sealed class Ablation : IDisposable
{
    private const string Results = "results", Runs = "runs", Cells = "cells";

    private readonly FileStream hold;
    private int done, known;

    private Ablation(AblationPlan plan, string folder, FileStream hold) => (Plan, Folder, this.hold) = (plan, folder, hold);

    /// <summary>What it compares.</summary>
    public AblationPlan Plan { get; }

    /// <summary>Where it lives.</summary>
    public string Folder { get; }

    private IReadOnlyList<Design> Designs => Plan.Designs;

    /// <summary>Begins an ablation, or goes on with the one in the folder.</summary>
    /// <param name="request">What to compare.</param>
    /// <param name="folder">Where it lives; created here.</param>
    /// <param name="cancellation">Ends the measurement of times.</param>
    /// <exception cref="InputException">The designs cannot be compared, or the folder holds another ablation.</exception>
    public static Ablation Open(AblationRequest request, string folder, CancellationToken cancellation = default)
    {
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
            return new(AblationPlan.In(folder, request, cancellation), folder, hold);
        }
        catch
        {
            hold.Dispose();
            throw;
        }
    }

    /// <summary>Trains what is not trained yet.</summary>
    /// <param name="train">Trains a run in a folder of its own: the cell, the file of its configuration, the folder.</param>
    /// <param name="jobs">How many runs are trained at once.</param>
    /// <param name="report">Told what happens, by one thread at a time.</param>
    /// <param name="cancellation">Asks the runs to save and end.</param>
    /// <exception cref="OperationCanceledException">It was cancelled; what has ended is kept.</exception>
    public async Task<AblationResult> RunAsync(
        Func<AblationCell, string, string, CancellationToken, Task<CellResult>> train, int jobs, Action<AblationEvent> report,
        CancellationToken cancellation)
    {
        var seeds = Enumerable.Range(Designs[0].Config.Training.Seed, Plan.Request.Seeds).ToList();
        var isTransfer = Plan.Request.Mode == AblationMode.RateTransfer;
        known = seeds.Count * Designs.Count * (isTransfer ? Plan.Request.Sweep!.Values.Count : 1);
        var choices = Plan.Request.Sweep is { } sweep && !isTransfer ? await ChooseAsync(sweep).ConfigureAwait(false) : [];
        AblationCell[] cells = [.. seeds.SelectMany(seed => Designs.SelectMany((design, i) => ValuesOf(i).Select(value =>
            new AblationCell(design, seed, Plan.Request.Sweep, value))))];
        var results = await TrainAsync(cells).ConfigureAwait(false);
        return new AblationResult(Plan, choices, [.. cells.Zip(results)], Environments(cells));

        IEnumerable<double?> ValuesOf(int design) => isTransfer ? Plan.Request.Sweep!.Values.Select(value => (double?)value)
            : [choices.Count == 0 ? null : choices[design].Value];

        async Task<IReadOnlyList<SweepChoice>> ChooseAsync(Sweep swept)
        {
            // A seed of its own: the one by which a rate was chosen would favour it.
            var seed = Designs[0].Config.Training.Seed - 1;
            var left = Designs.ToDictionary(design => design, _ => swept.Values);
            var measured = Designs.ToDictionary(design => design, _ => new Dictionary<double, double>());
            foreach (var steps in Rungs(swept.Values.Count))
            {
                AblationCell[] tried = [.. left.SelectMany(pair => pair.Value.Select(
                    value => new AblationCell(pair.Key, seed, swept, value, steps)))];
                known += tried.Length;
                var ended = await TrainAsync(tried).ConfigureAwait(false);
                foreach (var (cell, result) in tried.Zip(ended)) measured[cell.Design][cell.Value!.Value] = Worth(result);
                foreach (var design in Designs)
                    left[design] = [.. left[design].OrderBy(value => measured[design][value]).Take((left[design].Count + 1) / 2)];
            }
            return [.. Designs.Select(design =>
            {
                var choice = new SweepChoice(
                    design, swept, left[design].Where(value => double.IsFinite(measured[design][value])).Select(value => (double?)value)
                        .FirstOrDefault(), measured[design]);
                report(new AblationEvent.Chosen(choice));
                return choice;
            })];
        }

        async Task<CellResult[]> TrainAsync(AblationCell[] cells)
        {
            var ended = new CellResult[cells.Length];
            var options = new ParallelOptions { MaxDegreeOfParallelism = jobs, CancellationToken = cancellation };
            await Parallel.ForAsync(
                0, cells.Length, options, async (i, stop) => ended[i] = await ResultOf(cells[i], stop).ConfigureAwait(false))
                .ConfigureAwait(false);
            return ended;
        }

        async Task<CellResult> ResultOf(AblationCell cell, CancellationToken stop)
        {
            var path = PathOf(Results, cell) + ".json";
            var result = CellResult.Read(path);
            if (result is null)
            {
                var file = PathOf(Cells, cell) + ".yaml";
                Directory.CreateDirectory(Path.GetDirectoryName(file)!);
                Directory.CreateDirectory(Path.GetDirectoryName(path)!);
                DurableFile.WriteText(file, ConfigFile.ToYaml(cell.Config()));
                Report(new AblationEvent.Began(cell));
                result = await train(cell, file, PathOf(Runs, cell), stop).ConfigureAwait(false);
                stop.ThrowIfCancellationRequested();
                result.Write(path);
            }
            Report(new AblationEvent.Ended(cell, result, Interlocked.Increment(ref done), known));
            return result;
        }

        void Report(AblationEvent happened)
        {
            lock (hold) report(happened);
        }
    }

    /// <summary>The folder of a run.</summary>
    public string RunOf(AblationCell cell) => PathOf(Runs, cell);

    /// <inheritdoc/>
    public void Dispose() => hold.Dispose();

    private string PathOf(string kind, AblationCell cell) => Path.Combine(Folder, kind, cell.Name);

    // Lower is better; what has failed is worst.
    private double Worth(CellResult result) => result.Outcome is { } outcome && Plan.Measure.Of(outcome) is { } value
        ? Plan.Measure.IsBetterGreater() ? -value : value : double.PositiveInfinity;

    private IEnumerable<int> Rungs(int values)
    {
        var steps = Designs.Min(design => design.Config.Training.Steps);
        var halvings = Plan.Request.Halving ? (int)Math.Ceiling(Math.Log2(values)) - 1 : 0;
        return Enumerable.Range(0, halvings + 1).Select(rung => Math.Max(1, steps >> (halvings - rung)));
    }

    // Threads, processor or version that differ between runs move last digits.
    private IReadOnlyList<string> Environments(IEnumerable<AblationCell> cells)
    {
        var environments = cells.Select(cell => Path.Combine(RunOf(cell), RunEnvironment.FileName)).Where(File.Exists)
            .Select(path => RunEnvironment.Read(path)!).Distinct().ToList();
        return [.. environments.Skip(1).SelectMany(other => other.DifferencesFrom(environments[0])).Distinct()];
    }
}
