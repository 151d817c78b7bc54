using System.CommandLine;
using Transformer.Configuration;
using Transformer.Files;
using Transformer.Reproductions;

namespace Transformer.Cli;

/// <summary><c>reproduce --all</c>: every row, several at once, and what became of them.</summary>
internal static class ReproduceAll
{
    /// <summary>Runs rows, prints their figures and writes them into the folder; exit code 1 where a row broke.</summary>
    /// <param name="rows">The rows. The longest begin first.</param>
    /// <param name="folder">The folder of all rows.</param>
    /// <param name="jobs">How many run at once.</param>
    /// <param name="run">Runs one of them, and tells how far it is, a line at a time.</param>
    /// <param name="request">The request.</param>
    /// <param name="cancellation">Ends it; what it has is saved.</param>
    public static async Task<int> RunAsync(
        IReadOnlyList<Reproduction> rows, string folder, int jobs,
        Func<Reproduction, Action<string>, CancellationToken, Task<ReproductionResult>> run,
        ParseResult request, CancellationToken cancellation)
    {
        var (output, error) = (request.InvocationConfiguration.Output, request.InvocationConfiguration.Error);
        ReproductionReport.Create(folder);
        using var hold = FolderLock.Hold(
            folder, "another process reproduces there. Wait for it, or choose another folder with --out.");
        var results = new ReproductionResult[rows.Count];
        using (var display = new ReproductionDisplay(error, rows, jobs))
        {
            try
            {
                var options = new ParallelOptions { MaxDegreeOfParallelism = jobs, CancellationToken = cancellation };
                await Parallel.ForEachAsync(rows.Index().OrderByDescending(row => row.Item.Minutes), options, async (row, stop) =>
                {
                    results[row.Index] = await ResultOf(row.Item, text => display.Show(row.Item, text), stop).ConfigureAwait(false);
                    display.Finish(results[row.Index]);
                }).ConfigureAwait(false);
            }
            catch (OperationCanceledException)
            {
                throw new OperationCanceledException(
                    $"interrupted; saved. Continue with: {ShellCommand.Of(ReproduceVerb.Name, "--all", "--out", folder)}", cancellation);
            }
        }
        var summary = new
        {
            Rows = results,
            Held = results.Count(result => result.Holds),
            Broke = results.Count(result => result is { Holds: false, Failure: null }),
            NotRun = results.Count(result => result.Failure is not null),
        };
        DurableFile.WriteText(Path.Combine(folder, "results.md"), ReproductionReport.Markdown(results));
        DurableFile.WriteJson(Path.Combine(folder, "results.json"), ScriptJson.Node(summary));
        if (request.GetValue(SharedOptions.Json)) ScriptJson.Write(output, summary);
        else ReproductionReport.Write(output, results);
        error.WriteLine(ReproductionReport.Summary(results));
        return summary.Held == rows.Count ? CommandLine.Done : CommandLine.Failed;

        // A row that fails stops no other one.
        async Task<ReproductionResult> ResultOf(Reproduction row, Action<string> report, CancellationToken stop)
        {
            try
            {
                return await run(row, report, stop).ConfigureAwait(false);
            }
            catch (Exception failure) when (failure is not OperationCanceledException)
            {
                return new(row.Name, row.Paper, row.Claim, row.Seed, [], CoreSeconds: 0, CommandLine.Describe(failure).Message);
            }
        }
    }

    /// <summary>Runs a row in a process of its own.</summary>
    /// <param name="row">The row.</param>
    /// <param name="folder">The folder of all rows.</param>
    /// <param name="report">Told how far it is.</param>
    /// <param name="cancellation">Ends it; what it has is saved.</param>
    public static async Task<ReproductionResult> InChild(
        Reproduction row, string folder, Action<string> report, CancellationToken cancellation)
    {
        string[] words = [ReproduceVerb.Name, .. ReproductionReport.WordsOf(row, folder, row.Seed), SharedOptions.Json.Name];
        var child = await ChildProcess.RunAsync(words, launcher: [], cancellation, report).ConfigureAwait(false);
        if (child.Code == CommandLine.Interrupted) throw new OperationCanceledException();
        if (child.Output.StartsWith('{')) return ScriptJson.Read<ReproductionResult>(child.Output);
        var reason = child.Error.Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)
            .Where(line => !ReproductionDisplay.IsProgress(row, line));
        throw new InvalidOperationException(string.Join(' ', reason));
    }
}
