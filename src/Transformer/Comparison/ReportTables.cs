using System.Text.Json.Nodes;
using Transformer.Runs;
using Transformer.Training;

namespace Transformer.Comparison;

/// <summary>What a report says of its runs in words and tables.</summary>
internal static class ReportTables
{
    /// <summary>One line about the runs.</summary>
    public static string Summary(IReadOnlyList<ReportRun> runs)
    {
        var unfinished = runs.Count(run => !IsAtItsEnd(run));
        return (runs.Count == 1 ? "1 run" : $"{runs.Count} runs") + $", {runs.Sum(run => (long)run.Steps):n0} steps"
            + (unfinished > 0 ? $"; {unfinished} not at {(unfinished == 1 ? "its" : "their")} last step" : "");
    }

    /// <summary>The last numbers of each run.</summary>
    public static ReportSection Results(IReadOnlyList<ReportRun> runs)
    {
        (string Column, Func<ReportRun, string?> Cell)[] columns =
        [
            ("run", run => run.Name),
            ("steps", run => $"{run.Steps:n0}{(IsAtItsEnd(run) ? "" : $" of {run.Config.Training.Steps:n0}")}"),
            ("tokens", run => $"{run.Last?.Tokens:n0}"),
            ("seconds", run => $"{run.Last?.Seconds:n0}"),
            ("training loss", run => $"{run.TrainLoss:f4}"),
            ("validation loss", run => $"{run.LastEvaluated?.ValidationLoss:f4}"),
            ("accuracy", run => run.LastEvaluated?.ValidationAccuracy is { } share ? $"{100 * share:f1} %" : null),
            ("parameters", run => $"{run.Parameters:n0}"),
            ("core-µs per token", run => $"{1e6 * run.CoreSecondsPerToken:g3}"),
            ("mJ per token", run => $"{1e3 * run.JoulesPerToken:g3}"),
        ];
        if (runs.All(run => run.JoulesPerToken is null)) columns = columns[..^1];
        var rows = runs.Select(run => (IReadOnlyList<string>)[.. columns.Select(
            column => column.Cell(run) is { Length: > 0 } cell ? cell : ReportTable.Nothing)]);
        return new(
            "Results",
            [
                $"Losses are in nats per token. The training loss is the mean of the last {TrainingOutcome.TrainLossSteps} steps, the " +
                "validation loss that of the last evaluation, which may be a quick estimate before the last step. " +
                "Core-µs are the processor time of all cores together.",
                .. runs.Where(run => run.Steps == 0).Select(run => $"{run.Name} has not done a step yet."),
            ],
            new([.. columns.Select(column => column.Column)], [.. rows]));
    }

    /// <summary>Where the configurations differ.</summary>
    public static ReportSection Differences(IReadOnlyList<ReportRun> runs)
    {
        const string Title = "Differences of the configurations";
        var differences = ConfigDifference.Between([.. runs.Select(run => run.Config)]);
        if (differences.Count == 0) return new(Title, ["The configurations are equal."]);
        return new(Title, ["Every other key is the same in all runs."], new(
            ["key", .. runs.Select(run => run.Name)],
            [.. differences.Select(difference => (IReadOnlyList<string>)[difference.Key, .. difference.Nodes.Select(Shown)])]));
    }

    // A run also ends where it has reached the accuracy that it was to stop at.
    private static bool IsAtItsEnd(ReportRun run) => run.Steps >= run.Config.Training.Steps
        || run.Last?.ValidationAccuracy >= run.Config.Training.StopAtAccuracy;

    // A part is its kind, with the keys that are set in brackets.
    private static string Shown(JsonNode? node)
    {
        if (node is null) return ConfigDifference.None;
        if (node is JsonArray list) return string.Join(", ", list.Select(Shown));
        if (node is not JsonObject part) return node.ToString();
        var keys = part.Where(entry => entry.Key != "kind" && entry.Value is not null).Select(entry => $"{entry.Key} {Shown(entry.Value)}");
        return $"{part["kind"]}{(keys.Any() ? $" ({string.Join(", ", keys)})" : "")}".Trim();
    }
}
