using Transformer.Training;

namespace Transformer.Comparison;

/// <summary>A design with the outcomes of its runs.</summary>
/// <param name="Design">The design.</param>
/// <param name="Cost">What it takes.</param>
/// <param name="Runs">How the run of each seed ended.</param>
public sealed record DesignResult(Design Design, DesignCost Cost, IReadOnlyList<(int Seed, CellResult Result)> Runs)
{
    /// <summary>The outcomes of the runs that ended well.</summary>
    public IReadOnlyList<TrainingOutcome> Outcomes => [.. Runs.Select(run => run.Result.Outcome).OfType<TrainingOutcome>()];

    /// <summary>The number of each seed whose run has one.</summary>
    public IReadOnlyDictionary<int, double> Values(Measure measure) => Runs
        .Select(run => (run.Seed, Value: run.Result.Outcome is { } outcome ? measure.Of(outcome) : null))
        .Where(run => run.Value is not null).ToDictionary(run => run.Seed, run => run.Value!.Value);

    /// <summary>The mean of something over the runs that tell it; null where none does.</summary>
    public double? Mean(Func<TrainingOutcome, double?> number) => Outcomes.Select(number).Average();
}
