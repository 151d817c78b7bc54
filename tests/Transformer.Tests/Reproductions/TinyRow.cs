using Transformer.Reproductions;

namespace Transformer.Tests.Reproductions;

/// <summary>Rows that take a moment.</summary>
internal static class TinyRow
{
    private static readonly string[] Tiny =
    [
        "model.width=8", "model.layers=1", "model.attention={kind: softmax, heads: 2}", "model.context_length=8", "training.batch_size=2",
        "training.steps=6", "training.schedule.warmup_steps=2",
    ];

    /// <summary>A row with these arms, whose figure is the sum of what they measured.</summary>
    public static Reproduction Of(string name, Bound bound, params Arm[] arms) => new()
    {
        Name = name,
        Paper = "Nobody 2020",
        Claim = "It is small.",
        Minutes = 0.1,
        Arms = arms,
        Figures = [new("sum", "small", bound, results => arms.Sum(arm => results[arm.Name, MeasureOf(arm)]))],
    };

    private static string MeasureOf(Arm arm) => arm is TrainedArm ? TrainedArm.LossName : "x";

    /// <summary>A training run of six steps.</summary>
    public static TrainedArm Trained(string name, params string[] overrides) => new(name, "names", [.. Tiny, .. overrides]);

    /// <summary>An arm that measures what a function gives.</summary>
    public static ComputedArm Computed(string name, Func<int, double> of) =>
        new(name, (seed, _) => new Dictionary<string, double> { ["x"] = of(seed) });
}
