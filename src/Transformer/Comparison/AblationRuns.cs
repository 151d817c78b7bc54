using Transformer.Files;
using Transformer.Runs;

namespace Transformer.Comparison;

/// <summary>The runs of an ablation in its folder: what has ended is read, what has not is trained, several at once.</summary>
/// <param name="folder">The ablation's folder.</param>
/// <param name="train">Trains a run: the file of its configuration, and the folder that it lives in.</param>
/// <param name="jobs">How many are trained at once.</param>
/// <param name="report">Told what happens, by one thread at a time.</param>
/// <param name="cancellation">Asks the runs to save and end.</param>
internal sealed class AblationRuns(
    string folder, Func<string, string, CancellationToken, Task<CellResult>> train, int jobs, Action<AblationEvent> report,
    CancellationToken cancellation)
{
    private readonly Lock reporting = new();
    private int done, known;

    /// <summary>The folder of a run.</summary>
    public static string FolderOf(string ablation, AblationCell cell) => Path.Combine(ablation, "runs", cell.Name);

    /// <summary>Counts runs that are still to come.</summary>
    public void Expect(int runs) => known += runs;

    /// <summary>Tells what has happened.</summary>
    public void Report(AblationEvent happened)
    {
        lock (reporting) report(happened);
    }

    /// <summary>How each run ended.</summary>
    /// <exception cref="OperationCanceledException">It was cancelled; what has ended is kept.</exception>
    public async Task<IReadOnlyList<CellResult>> ResultsAsync(IReadOnlyList<AblationCell> cells)
    {
        var ended = new CellResult[cells.Count];
        var options = new ParallelOptions { MaxDegreeOfParallelism = jobs, CancellationToken = cancellation };
        await Parallel.ForAsync(0, cells.Count, options, async (i, stop) =>
        {
            ended[i] = await ResultAsync(cells[i], stop).ConfigureAwait(false);
            Report(new AblationEvent.Ended(cells[i], ended[i], Interlocked.Increment(ref done), known));
        }).ConfigureAwait(false);
        return ended;
    }

    private async Task<CellResult> ResultAsync(AblationCell cell, CancellationToken stop)
    {
        if (cell.Sweep is not null && cell.Value is null) return new(null, $"no value of {cell.Sweep.Key} is known to be its best");
        var (file, path) = (MakeRoom("cells", cell, ".yaml"), MakeRoom("results", cell, ".json"));
        if (CellResult.Read(path) is { } ended) return ended;
        DurableFile.WriteText(file, ConfigFile.ToYaml(cell.Config()));
        Report(new AblationEvent.Began(cell));
        var result = await train(file, FolderOf(folder, cell), stop).ConfigureAwait(false);
        if (result.Outcome is null) stop.ThrowIfCancellationRequested();
        result.Write(path);
        return result;
    }

    // The path of a file, whose folder is there.
    private string MakeRoom(string kind, AblationCell cell, string extension)
    {
        var path = Path.Combine(folder, kind, cell.Name + extension);
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw DurableFile.Unwritable(path, failure);
        }
        return path;
    }
}
