using System.CommandLine;
using System.Globalization;
using Spectre.Console;
using Transformer.Configuration;
using Transformer.Files;
using Transformer.Reproductions;

namespace Transformer.Cli;

/// <summary><c>reproduce NAME</c>: one published claim, run and judged; and the tables of results.</summary>
internal static class ReproductionReport
{
    private const int FileWidth = 140;

    /// <summary>Runs a row and prints its figures; exit code 1 where one is out of its bound.</summary>
    /// <param name="row">The row.</param>
    /// <param name="folder">The folder of all rows.</param>
    /// <param name="seed">Its seed.</param>
    /// <param name="request">The request.</param>
    /// <param name="cancellation">Ends it; what it has is saved.</param>
    public static int Run(Reproduction row, string folder, int seed, ParseResult request, CancellationToken cancellation)
    {
        var (output, error) = (request.InvocationConfiguration.Output, request.InvocationConfiguration.Error);
        Create(folder);
        ReproductionResult result;
        using (var display = new ReproductionDisplay(error, [row], jobs: 1))
        {
            try
            {
                result = row.Run(folder, seed, progress => display.Show(row, progress), cancellation);
            }
            catch (OperationCanceledException)
            {
                var command = ShellCommand.Of([ReproduceVerb.Name, .. WordsOf(row, folder, seed)]);
                throw new OperationCanceledException($"interrupted; saved. Continue with: {command}", cancellation);
            }
        }
        if (request.GetValue(SharedOptions.Json)) ScriptJson.Write(output, result);
        else Write(output, [result]);
        return result.Holds ? CommandLine.Done : CommandLine.Failed;
    }

    /// <summary>Creates the folder of all rows, unless it is there.</summary>
    /// <exception cref="InputException">It cannot be created.</exception>
    public static void Create(string folder)
    {
        try
        {
            Directory.CreateDirectory(folder);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw DurableFile.Unwritable(folder, e);
        }
    }

    /// <summary>What follows the verb's name for one row.</summary>
    public static IReadOnlyList<string> WordsOf(Reproduction row, string folder, int seed) =>
        [row.Name, "--out", folder, .. seed == row.Seed ? (string[])[] : ["--seed", seed.ToString(CultureInfo.InvariantCulture)]];

    /// <summary>Writes the figures as a table; what broke is red on a terminal.</summary>
    public static void Write(TextWriter output, IReadOnlyList<ReproductionResult> results)
    {
        var table = new Table().Border(TableBorder.Simple).AddColumns("row", "figure", "published", "bound", "ours", "");
        foreach (var result in results)
        {
            foreach (var figure in result.Figures)
                table.AddRow(
                    result.Name, Markup.Escape(figure.What), Markup.Escape(figure.Published), figure.Bound, Shown(figure.Ours),
                    Verdict(figure.Holds));
            if (result.Failure is { } failure) table.AddRow(result.Name, Markup.Escape(failure), "", "", "", "[red]not run[/]");
        }
        table.Columns[0].NoWrap();
        var isTerminal = output is StandardWriter { IsTerminal: true };
        var console = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Out = new AnsiConsoleOutput(output),
            Ansi = isTerminal ? AnsiSupport.Detect : AnsiSupport.No,
            ColorSystem = isTerminal ? ColorSystemSupport.Detect : ColorSystemSupport.NoColors,
        });
        if (!isTerminal) console.Profile.Width = FileWidth;
        console.Write(table);
    }

    /// <summary>The same as a page of Markdown.</summary>
    public static string Markdown(IReadOnlyList<ReproductionResult> results) => string.Join('\n',
    [
        "# Reproductions", "", Summary(results), "", "| row | paper | seed | figure | published | bound | ours | |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
        .. from result in results
           from line in result.Failure is { } failure ? [$"{Cell(failure)} | | | | **not run**"] : result.Figures.Select(figure =>
               $"{Cell(figure.What)} | {Cell(figure.Published)} | {figure.Bound} | {Shown(figure.Ours)} | " +
               (figure.Holds ? "ok" : "**BROKE**"))
           select $"| {result.Name} | {Cell(result.Paper)} | {result.Seed} | {line} |",
        "",
    ]);

    /// <summary>How many rows hold.</summary>
    public static string Summary(IReadOnlyList<ReproductionResult> results)
    {
        return $"{results.Count(result => result.Holds)} of {results.Count} rows hold"
            + Names("broken", result => result is { Holds: false, Failure: null }) + Names("not run", result => result.Failure is not null)
            + ".";

        string Names(string what, Func<ReproductionResult, bool> those)
        {
            var names = results.Where(those).Select(result => result.Name).ToList();
            return names.Count == 0 ? "" : $"; {what}: {string.Join(", ", names)}";
        }
    }

    private static string Shown(double figure) => figure.ToString("0.####", CultureInfo.InvariantCulture);

    private static string Verdict(bool holds) => holds ? "ok" : "[red]BROKE[/]";

    private static string Cell(string text) => text.ReplaceLineEndings(" ").Replace("|", "\\|");
}
