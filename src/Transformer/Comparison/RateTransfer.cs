namespace Transformer.Comparison;

/// <summary>
/// How the best value of what is swept, the learning rate as a rule, depends on the width: under muP it stays where it is, in standard
/// parametrisation it moves (Yang et al. 2022, arXiv:2203.03466).
/// </summary>
/// <param name="Name">What the designs of different widths have in common.</param>
/// <param name="Sweep">What was swept.</param>
/// <param name="Rows">One per width, the narrowest first.</param>
/// <param name="Coordinates">The slope of the coordinates' change over the width at each place; empty for one width.</param>
public sealed record RateTransfer(
    string Name, Sweep Sweep, IReadOnlyList<RateTransfer.Row> Rows, IReadOnlyList<(string Place, double Slope)> Coordinates)
{
    /// <summary>One width.</summary>
    /// <param name="Width">C.</param>
    /// <param name="Means">The mean measure of each value over the seeds; NaN where a run failed or diverged.</param>
    /// <param name="Best">Which value is best; null where none has a mean.</param>
    public sealed record Row(int Width, IReadOnlyList<double> Means, int? Best);

    private const string Width = "model.width";

    /// <summary>How many grid steps apart the best values are; null where a width has none.</summary>
    public int? Moves => Rows.Any(row => row.Best is null) ? null : Rows.Max(row => row.Best!.Value) - Rows.Min(row => row.Best!.Value);

    /// <summary>What was found, in a sentence.</summary>
    public string Sentence()
    {
        var widths = $"from width {Rows[0].Width} to {Rows[^1].Width} ({(double)Rows[^1].Width / Rows[0].Width:0.#} times as wide)";
        if (Moves is not { } moves) return $"{Name}: not every width has a value at which all runs ended well.";
        var best = string.Join(", ", Rows.Select(row => $"{Comparison.Sweep.Text(Sweep.Values[row.Best!.Value])} at {row.Width}"));
        var edge = Rows.Any(row => row.Best == 0 || row.Best == Sweep.Values.Count - 1)
            ? " A best value is the first or last that was tried; a wider sweep may move it." : "";
        return $"{Name}: the best {Sweep.Key} moves by {moves} {(moves == 1 ? "step" : "steps")} of the grid {widths}: {best}.{edge}";
    }

    /// <summary>Groups the runs of an ablation over widths.</summary>
    internal static IReadOnlyList<RateTransfer> Of(
        AblationPlan plan, IReadOnlyList<(AblationCell Cell, CellResult Result)> cells, IReadOnlyList<CoordinateCheck> checks)
    {
        var sweep = plan.Request.Sweep!;
        return [.. plan.Designs.Index().GroupBy(each => each.Item.NameWithout([Width])).Select(group =>
        {
            var designs = group.OrderBy(each => each.Item.Config.Model.Width).ToList();
            return new RateTransfer(
                group.Key, sweep, [.. designs.Select(each => RowOf(each.Item))],
                designs.Count < 2 ? []
                    : CoordinateCheck.Slopes([.. designs.Select(each => (each.Item.Config.Model.Width, checks[each.Index]))]));
        })];

        Row RowOf(Design design)
        {
            double[] means = [.. sweep.Values.Select(value => cells.Where(cell => cell.Cell.Design == design && cell.Cell.Value == value)
                .Average(cell => cell.Result.Outcome is { } outcome ? plan.Measure.Of(outcome) ?? double.NaN : double.NaN))];
            var ranked = Enumerable.Range(0, means.Length).Where(i => !double.IsNaN(means[i]))
                .OrderBy(i => plan.Measure.IsBetterGreater() ? -means[i] : means[i]).ToList();
            return new(design.Config.Model.Width, means, ranked.Count == 0 ? null : ranked[0]);
        }
    }
}
