namespace Transformer.Comparison;

/// <summary>What an ablation found.</summary>
public sealed class AblationResult
{
    internal AblationResult(
        AblationPlan plan, IReadOnlyList<SweepChoice> choices, IReadOnlyList<(AblationCell Cell, CellResult Result)> cells,
        IReadOnlyList<string> environments)
    {
        (Plan, Choices, Cells, Environments) = (plan, choices, cells, environments);
        Designs = [.. plan.Designs.Zip(plan.Costs, (design, cost) => new DesignResult(
            design, cost, [.. cells.Where(cell => cell.Cell.Design == design).Select(cell => (cell.Cell.Seed, cell.Result))]))];
        switch (plan.Request.Mode)
        {
            case AblationMode.Scaling:
                Scaling = ScalingFit.Of([.. Designs.SelectMany(design => design.Outcomes.Select(
                    run => new ScalingPoint(design.Cost.Parameters, run.Tokens, run.ValidationLoss)))]);
                break;
            case AblationMode.RateTransfer:
                Transfers = RateTransfer.Of(plan, cells, plan.Coordinates());
                break;
            default:
                Comparisons = DesignComparison.OfAll(Designs, plan.Measure, plan.Unfair, choices);
                break;
        }
    }

    /// <summary>What was compared.</summary>
    public AblationPlan Plan { get; }

    /// <summary>The designs with their runs, the reference first.</summary>
    public IReadOnlyList<DesignResult> Designs { get; }

    /// <summary>Each design beside the reference; empty where something else is looked for.</summary>
    public IReadOnlyList<DesignComparison> Comparisons { get; } = [];

    /// <summary>The scaling law; null where something else is looked for.</summary>
    public ScalingFit? Scaling { get; }

    /// <summary>How the best rate moves with the width; empty where something else is looked for.</summary>
    public IReadOnlyList<RateTransfer> Transfers { get; } = [];

    /// <summary>The swept value of each design; empty where nothing was swept.</summary>
    public IReadOnlyList<SweepChoice> Choices { get; }

    /// <summary>All compared runs.</summary>
    public IReadOnlyList<(AblationCell Cell, CellResult Result)> Cells { get; }

    /// <summary>What differed between the machines or processes of the runs.</summary>
    public IReadOnlyList<string> Environments { get; }
}
