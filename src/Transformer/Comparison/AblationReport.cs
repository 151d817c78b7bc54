using System.Text;
using Transformer.Configuration;
using Transformer.Files;

namespace Transformer.Comparison;

/// <summary>The result of an ablation for people: as sections of a report, as Markdown and as CSV.</summary>
public static class AblationReport
{
    private const string Nothing = ReportTable.Nothing;

    /// <summary>What was found, with the table that it rests on.</summary>
    public static IReadOnlyList<ReportSection> Sections(AblationResult result) =>
    [
        result.Plan.Request.Mode switch
        {
            AblationMode.Scaling => new("How the loss falls", Laws(result), Designs(result)),
            AblationMode.RateTransfer => new(
                "The best rate at each width", [.. result.Transfers.Select(transfer => transfer.Sentence())], Rates(result)),
            _ => new("What the evidence allows", Sentences(result), Designs(result)),
        },
        .. result.Transfers.Where(transfer => transfer.Coordinates.Count > 0).Select(transfer => new ReportSection(
            $"Coordinate check, {transfer.Name}",
            [
                $"The slope of ln(change of a coordinate in {CoordinateCheck.Steps} steps) over ln(width); 0 where the width does not " +
                    "matter.",
            ],
            new(["place", "slope"], [.. transfer.Coordinates.Select(at => (IReadOnlyList<string>)[at.Place, $"{at.Slope:0.00}"])]))),
        .. Adjustments(result) is { Count: > 0 } adjusted ? (ReportSection[])[new("How the designs were made equal", adjusted)] : [],
    ];

    /// <summary>The whole as Markdown.</summary>
    public static string Markdown(AblationResult result)
    {
        var text = new StringBuilder($"# {Title(result)}\n");
        foreach (var section in Sections(result))
        {
            text.Append($"\n## {section.Title}\n");
            foreach (var paragraph in section.Paragraphs) text.Append($"\n{paragraph}\n");
            if (section.Table is null) continue;
            text.Append('\n');
            foreach (var row in section.Table.Rows.Prepend(section.Table.Columns.Select(_ => "---")).Prepend(section.Table.Columns))
                text.Append($"| {string.Join(" | ", row.Select(cell => cell.Replace("|", @"\|", StringComparison.Ordinal)))} |\n");
        }
        return text.ToString();
    }

    /// <summary>Every run as a line of comma-separated values, those of the sweep first.</summary>
    public static string Csv(AblationResult result)
    {
        var text = new StringBuilder("design,seed,swept_value,steps,tokens,validation_loss,bits_per_byte,validation_accuracy,seconds," +
            "core_seconds_per_token,joules_per_token,peak_bytes,parameters,flops_per_token,failure\n");
        var costs = result.Designs.ToDictionary(design => design.Design, design => design.Cost);
        foreach (var (cell, ended) in result.Tried.Concat(result.Cells))
        {
            var run = ended.Outcome;
            object?[] fields =
            [
                cell.Design.Name, cell.Seed, cell.Value, run?.Steps, run?.Tokens, run?.ValidationLoss, run?.BitsPerByte,
                run?.ValidationAccuracy, run?.Seconds, run?.CoreSecondsPerToken, run?.JoulesPerToken, run?.PeakBytes,
                costs[cell.Design].Parameters, costs[cell.Design].FlopsPerToken, ended.Failure,
            ];
            text.AppendJoin(',', fields.Select(Field)).Append('\n');
        }
        return text.ToString();
    }

    /// <summary>The whole as one HTML page, with the curves of all runs that ended.</summary>
    /// <param name="result">The result.</param>
    /// <param name="folder">The ablation's folder.</param>
    public static string Html(AblationResult result, string folder) => ReportPage.Html(
        Title(result), Sections(result),
        [.. result.Cells.Where(cell => cell.Result.Outcome is not null).Select(cell =>
            ReportRun.Read(AblationRuns.FolderOf(folder, cell.Cell)) with { Name = cell.Cell.Name, Group = cell.Cell.Design.Name })],
        isLive: false);

    /// <summary>Writes ablation.md, ablation.csv and ablation.html into the ablation's folder.</summary>
    /// <exception cref="InputException">A file cannot be written.</exception>
    public static void Write(AblationResult result, string folder)
    {
        DurableFile.WriteText(Path.Combine(folder, "ablation.md"), Markdown(result));
        DurableFile.WriteText(Path.Combine(folder, "ablation.csv"), Csv(result));
        DurableFile.WriteText(Path.Combine(folder, "ablation.html"), Html(result, folder));
    }

    private static string Title(AblationResult result) => result.Plan.Request.Variations is [] ? result.Plan.Request.Source
        : $"{result.Plan.Request.Source}: {string.Join(" and ", result.Plan.Request.Variations.Select(variation => variation.Key))}";

    // One sentence per comparison, and what is said against it.
    private static List<string> Sentences(AblationResult result) =>
    [
        .. result.Comparisons.Select(comparison => comparison.Sentence(result.Tests)
            + (comparison.Caveats.Count == 0 ? "" : $" But: {string.Join("; ", comparison.Caveats)}.")),
        .. result.Environments.Select(difference => $"The runs were not computed alike: {difference}."),
    ];

    private static List<string> Laws(AblationResult result) =>
    [
        .. result.Laws.SelectMany(law => law.Fit is null ? [$"{law.Name}: too few sizes ended well for a law."] : Law(law.Name, law.Fit)),
        "A law holds for sizes between the smallest and the largest that were trained.",
    ];

    private static IEnumerable<string> Law(string name, ScalingFit fit)
    {
        var law = $"L = E{(fit.Parameters is null ? "" : " + A N^-α")}{(fit.Tokens is null ? "" : " + B D^-β")}";
        (string Name, Interval? Value)[] constants =
        [
            ("E", fit.Irreducible), ("A", fit.Parameters?.Coefficient), ("α", fit.Parameters?.Exponent), ("B", fit.Tokens?.Coefficient),
            ("β", fit.Tokens?.Exponent),
        ];
        var given = constants.Where(constant => constant.Value is not null).Select(constant => $"{constant.Name} = {constant.Value}");
        yield return $"{name}: {law}, N parameters and D tokens, with 95 % intervals: {string.Join(", ", given)}. " +
            $"The root of the mean squared relative error is {fit.Error:p2}.";
    }

    private static List<string> Adjustments(AblationResult result) =>
    [
        .. result.Designs.Where(design => design.Design.Adjustments.Count > 0)
            .Select(design => $"{design.Design.Name}: {string.Join("; ", design.Design.Adjustments)}."),
    ];

    private static ReportTable Designs(AblationResult result)
    {
        var (measure, isSwept, isCompared) = (result.Plan.Measure, result.Choices.Count > 0, result.Comparisons.Count > 0);
        var hasJoules = result.Designs.Any(design => design.Mean(run => run.JoulesPerToken) is not null);
        return new(
            [
                "design", "seeds", measure.Name(), "deviation", .. isCompared ? ["difference", "95 % interval", "p"] : (string[])[],
                "parameters", "tokens", "FLOP per token", "core-µs per token", "seconds", "peak memory, MB",
                .. hasJoules ? ["mJ per token"] : (string[])[], .. isSwept ? [result.Choices[0].Sweep.Key] : (string[])[],
            ],
            [.. result.Designs.Select((design, i) => (IReadOnlyList<string>)
            [
                design.Design.Name, .. Values(design, measure),
                .. !isCompared ? (string[])[] : i == 0 ? [Nothing, Nothing, Nothing] : Difference(result.Comparisons[i - 1]),
                $"{design.Cost.Parameters:n0}", Mean(design.Mean(run => run.Tokens), "n0"), $"{design.Cost.FlopsPerToken:n0}",
                Mean(1e6 * design.Mean(run => run.CoreSecondsPerToken), "0.0"), Mean(design.Mean(run => run.Seconds), "0"),
                Mean(design.Mean(run => run.PeakBytes) / 1e6, "0"),
                .. hasJoules ? [Mean(1e3 * design.Mean(run => run.JoulesPerToken), "0.00")] : (string[])[],
                .. isSwept ? [result.Choices[i].Value is { } value ? Sweep.Text(value) : Nothing] : (string[])[],
            ])]);

        static string Mean(double? number, string format) => number?.ToString(format) ?? Nothing;
    }

    private static string[] Values(DesignResult design, Measure measure)
    {
        var values = design.Values(measure).Values.ToList();
        var count = values.Count == design.Runs.Count ? $"{values.Count}" : $"{values.Count} of {design.Runs.Count}";
        return values.Count == 0 ? [count, Nothing, Nothing]
            : [count, $"{values.Average():0.0000}", values.Count == 1 ? Nothing : $"{PairedTest.DeviationOf(values):0.0000}"];
    }

    private static string[] Difference(DesignComparison comparison) => comparison.Test switch
    {
        null => [Nothing, Nothing, Nothing],
        { Pairs: 1 } test => [DesignComparison.Signed(test.Difference), Nothing, Nothing],
        var test => [
            DesignComparison.Signed(test.Difference),
            $"{DesignComparison.Signed(test.Difference - test.Margin)} to {DesignComparison.Signed(test.Difference + test.Margin)}",
            comparison.ShownP.TrimStart('=', ' ')],
    };

    private static ReportTable Rates(AblationResult result) => new(
        ["designs", "width", .. result.Transfers[0].Sweep.Values.Select(Sweep.Text)],
        [.. result.Transfers.SelectMany(transfer => transfer.Rows.Select(row => (IReadOnlyList<string>)
            [transfer.Name, $"{row.Width}", .. row.Means.Select((mean, i) =>
                double.IsNaN(mean) ? Nothing : $"{mean:0.0000}{(i == row.Best ? " *" : "")}")]))]);

    private static string Field(object? value)
    {
        var text = Convert.ToString(value) ?? "";
        return text.AsSpan().IndexOfAny(",\"\n\r") < 0 ? text : $"\"{text.Replace("\"", "\"\"", StringComparison.Ordinal)}\"";
    }
}
