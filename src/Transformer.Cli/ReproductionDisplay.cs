using System.Diagnostics;
using Spectre.Console;
using Transformer.Reproductions;

namespace Transformer.Cli;

/// <summary>How far the reproductions are: a line that is drawn over on a terminal, a line now and then elsewhere.</summary>
internal sealed class ReproductionDisplay(TextWriter error, IReadOnlyList<Reproduction> rows, int jobs) : IDisposable
{
    private readonly bool isTerminal = error is StandardWriter { IsTerminal: true };
    private readonly AnsiConsoleOutput terminal = new(error);
    private readonly Lock gate = new();
    private readonly Stopwatch watch = Stopwatch.StartNew();
    private readonly HashSet<string> done = [];
    private readonly Dictionary<string, TimeSpan> next = [];
    private bool drawn;

    /// <summary>Shows how far a row is.</summary>
    public void Show(Reproduction row, ArmProgress progress) => Show(
        row, $"{PrefixOf(row)}{progress.Number} of {progress.Arms}, {progress.Arm}" + (progress.Steps == 0 ? ""
            : $", step {progress.Step} of {progress.Steps}, {Numbers.Duration(TimeSpan.FromSeconds(progress.SecondsLeft))} left"));

    /// <summary>Whether a line is one that tells how far a row is.</summary>
    public static bool IsProgress(Reproduction row, string line) => line.StartsWith(PrefixOf(row), StringComparison.Ordinal);

    /// <summary>Shows what a row says of itself: how far it is now and then, anything else always.</summary>
    public void Show(Reproduction row, string text)
    {
        lock (gate)
        {
            if (IsProgress(row, text))
            {
                if (watch.Elapsed < next.GetValueOrDefault(row.Name)) return;
                next[row.Name] = watch.Elapsed + TimeSpan.FromSeconds(isTerminal ? 0.2 : 10);
            }
            var line = rows.Count == 1 ? text : $"{Count} {text}; all: about {Numbers.Duration(Left)} left";
            if (isTerminal) error.Write($"\r\u001b[2K{line[..Math.Min(line.Length, Math.Max(10, terminal.Width - 1))]}");
            else error.WriteLine(line);
            drawn = isTerminal;
        }
    }

    /// <summary>Shows that a row is done.</summary>
    public void Finish(ReproductionResult result)
    {
        lock (gate)
        {
            done.Add(result.Name);
            Clear();
            var verdict = result.Holds ? "ok" : result.Failure is { } failure ? $"could not be run: {failure}" : "BROKE";
            error.WriteLine($"{Count} {result.Name}: {verdict}; about {Numbers.Duration(Left)} left");
        }
    }

    /// <inheritdoc/>
    public void Dispose() => Clear();

    private static string PrefixOf(Reproduction row) => $"{row.Name}: arm ";

    private string Count => $"[{done.Count}/{rows.Count}]";

    // By the minutes that the rows were once measured to take, in which what has begun counts as whole.
    private TimeSpan Left
    {
        get
        {
            var left = rows.Where(row => !done.Contains(row.Name)).Select(row => row.Minutes).DefaultIfEmpty().ToList();
            return TimeSpan.FromMinutes(Math.Max(left.Max(), left.Sum() / jobs));
        }
    }

    private void Clear()
    {
        if (drawn) error.Write("\r\u001b[2K");
        drawn = false;
    }
}
