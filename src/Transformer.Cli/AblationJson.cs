using Transformer.Comparison;

namespace Transformer.Cli;

/// <summary>What <c>ablate --json</c> prints.</summary>
internal static class AblationJson
{
    /// <summary>The designs as they would be compared.</summary>
    public static void Write(TextWriter output, AblationPlan plan) => ScriptJson.Write(output, new
    {
        Measure = ScriptJson.Name(plan.Measure),
        Designs = plan.Designs.Select((design, i) => new
        {
            design.Name,
            design.Settings,
            design.Adjustments,
            plan.Costs[i].Parameters,
            plan.Costs[i].FlopsPerToken,
            Unfair = plan.Unfair[i].Select(unfair => unfair.ToString()),
        }),
    });

    /// <summary>What was found.</summary>
    public static void Write(TextWriter output, AblationResult result, string folder) => ScriptJson.Write(output, new
    {
        Out = folder,
        Measure = ScriptJson.Name(result.Plan.Measure),
        Designs = result.Designs.Select((design, i) => new
        {
            design.Design.Name,
            design.Design.Settings,
            design.Design.Adjustments,
            design.Cost.Parameters,
            design.Cost.FlopsPerToken,
            SweptValue = result.Choices.Count == 0 ? null : result.Choices[i].Value,
            // those of a sweep over widths have several per seed
            Values = result.Transfers.Count > 0 ? null
                : design.Values(result.Plan.Measure).ToDictionary(seed => $"{seed.Key}", seed => seed.Value),
            CoreSecondsPerToken = design.Mean(run => run.CoreSecondsPerToken),
            Seconds = design.Mean(run => run.Seconds),
            PeakBytes = design.Mean(run => run.PeakBytes),
        }),
        Comparisons = result.Comparisons.Select(comparison => new
        {
            Design = comparison.Other.Design.Name,
            comparison.Test?.Pairs,
            comparison.Test?.Difference,
            Margin = Finite(comparison.Test?.Margin),
            P = Finite(comparison.P),
            SmallestDifference = Finite(comparison.Smallest),
            comparison.IsDifferent,
            comparison.Caveats,
            Sentence = comparison.Sentence(result.Tests),
        }),
        Laws = result.Laws.Select(law => new { law.Name, law.Fit?.Irreducible, law.Fit?.Parameters, law.Fit?.Tokens, law.Fit?.Error }),
        Transfers = result.Transfers.Select(transfer => new
        {
            transfer.Name,
            transfer.Moves,
            Best = transfer.Rows.ToDictionary(
                row => $"{row.Width}", row => row.Best is { } best ? transfer.Sweep.Values[best] : (double?)null),
            Coordinates = transfer.Coordinates.ToDictionary(at => at.Place, at => Finite(at.Slope)),
        }),
        result.Environments,
    });

    private static double? Finite(double? number) => number is { } value && double.IsFinite(value) ? value : null;
}
