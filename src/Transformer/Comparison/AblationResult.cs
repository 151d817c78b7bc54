namespace Transformer.Comparison;

/// <summary>What an ablation found.</summary>
public sealed class AblationResult
{
    /// <param name="plan">What was compared.</param>
    /// <param name="choices">The swept value of each design.</param>
    /// <param name="cells">All compared runs.</param>
    /// <param name="tried">The runs of the sweep.</param>
    /// <param name="environments">What differed between the machines or processes of the runs.</param>
    /// <param name="coordinates">The coordinate check of each design, where the rate is what is looked at.</param>
    internal AblationResult(
        AblationPlan plan, IReadOnlyList<SweepChoice> choices, IReadOnlyList<(AblationCell Cell, CellResult Result)> cells,
        IReadOnlyList<(AblationCell Cell, CellResult Result)> tried, IReadOnlyList<string> environments,
        IReadOnlyList<CoordinateCheck> coordinates)
    {
        (Plan, Choices, Cells, Tried, Environments) = (plan, choices, cells, tried, environments);
        Designs = [.. plan.Designs.Zip(plan.Costs, (design, cost) => new DesignResult(
            design, cost, [.. cells.Where(cell => cell.Cell.Design == design).Select(cell => (cell.Cell.Seed, cell.Result))]))];
        switch (plan.Request.Mode)
        {
            case AblationMode.Scaling:
                Laws = [.. Designs.GroupBy(design => design.Design.NameWithout(AblationRequest.SizeKeys)).Select(
                    group => new ScalingLaw(group.Key, ScalingFit.TryOf([.. group.SelectMany(Points)])))];
                break;
            case AblationMode.RateTransfer:
                Transfers = RateTransfer.Of(plan, cells, coordinates);
                break;
            default:
                Comparisons = DesignComparison.OfAll(Designs, plan.Measure, plan.Unfair, choices);
                break;
        }

        IEnumerable<ScalingPoint> Points(DesignResult design) => design.Outcomes.Select(
            run => new ScalingPoint(design.Cost.Parameters, run.Tokens, plan.Measure.Of(run)!.Value));
    }

    /// <summary>What was compared.</summary>
    public AblationPlan Plan { get; }

    /// <summary>The designs with their runs, the reference first.</summary>
    public IReadOnlyList<DesignResult> Designs { get; }

    /// <summary>Each design beside the reference; empty where something else is looked for.</summary>
    public IReadOnlyList<DesignComparison> Comparisons { get; } = [];

    /// <summary>How many of the comparisons have a test.</summary>
    public int Tests => Comparisons.Count(comparison => !double.IsNaN(comparison.P));

    /// <summary>The scaling law of each group of designs; empty where something else is looked for.</summary>
    public IReadOnlyList<ScalingLaw> Laws { get; } = [];

    /// <summary>How the best rate moves with the width; empty where something else is looked for.</summary>
    public IReadOnlyList<RateTransfer> Transfers { get; } = [];

    /// <summary>The swept value of each design; empty where nothing was swept.</summary>
    public IReadOnlyList<SweepChoice> Choices { get; }

    /// <summary>All compared runs.</summary>
    public IReadOnlyList<(AblationCell Cell, CellResult Result)> Cells { get; }

    /// <summary>The runs of the sweep.</summary>
    public IReadOnlyList<(AblationCell Cell, CellResult Result)> Tried { get; }

    /// <summary>What differed between the machines or processes of the runs.</summary>
    public IReadOnlyList<string> Environments { get; }
}
