using System.Text.Json.Serialization;
using Transformer.Configuration;

namespace Transformer.Runs;

/// <summary>How the learning rate changes over the run; every kind begins with a linear warm-up.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "kind")]
[JsonDerivedType(typeof(ConstantScheduleConfig), "constant")]
[JsonDerivedType(typeof(LinearScheduleConfig), "linear")]
[JsonDerivedType(typeof(CosineScheduleConfig), "cosine")]
[JsonDerivedType(typeof(WarmupStableDecayScheduleConfig), "warmup_stable_decay")]
public abstract record ScheduleConfig : IValidated
{
    /// <summary>The number of steps over which the rate rises from near zero to its peak.</summary>
    public int WarmupSteps { get; init; }

    /// <summary>Why the learning rate of a run of so many steps is not what the schedule means it to be; null where it is.</summary>
    /// <param name="steps">The steps.</param>
    /// <param name="isBegun">Whether the run has begun, so that it is too late for advice.</param>
    public virtual string? WarningFor(int steps, bool isBegun = false) => WarmupSteps == 0 || WarmupSteps < steps ? null
        : $"training.schedule.warmup_steps: {WarmupSteps} steps of warm-up, but the run has {steps}, so that the learning rate never " +
            $"reaches its peak.{(isBegun ? "" : $" Take fewer, e.g. --set training.schedule.warmup_steps={steps / 20}")}";

    /// <inheritdoc/>
    public virtual IEnumerable<ConfigProblem> Problems()
    {
        if (WarmupSteps < 0) yield return new("warmup_steps", $"found {WarmupSteps}, expected 0 or more");
    }
}

/// <summary>Constant at the peak.</summary>
public sealed record ConstantScheduleConfig : ScheduleConfig;

/// <summary>A schedule that decays to a fraction of the peak.</summary>
public abstract record DecayingScheduleConfig : ScheduleConfig
{
    /// <summary>The last rate as a fraction of the peak.</summary>
    public double FinalRatio { get; init; } = 0.1;

    /// <inheritdoc/>
    public override IEnumerable<ConfigProblem> Problems()
    {
        foreach (var problem in base.Problems()) yield return problem;
        if (FinalRatio is < 0 or > 1) yield return new("final_ratio", $"found {FinalRatio}, expected 0 to 1");
    }
}

/// <summary>A straight line from the peak to the last rate.</summary>
public sealed record LinearScheduleConfig : DecayingScheduleConfig;

/// <summary>Half a cosine from the peak to the last rate (Loshchilov and Hutter 2017).</summary>
public sealed record CosineScheduleConfig : DecayingScheduleConfig;

/// <summary>The peak until the last decay_steps, then a straight line to the last rate (Hu et al. 2024).</summary>
public sealed record WarmupStableDecayScheduleConfig : DecayingScheduleConfig
{
    /// <summary>The number of steps of the decay.</summary>
    public required int DecaySteps { get; init; }

    /// <inheritdoc/>
    public override string? WarningFor(int steps, bool isBegun = false) =>
        base.WarningFor(steps, isBegun) ?? ((long)WarmupSteps + DecaySteps <= steps ? null
        : $"training.schedule.decay_steps: {WarmupSteps} steps of warm-up and {DecaySteps} of decay, but the run has {steps}, so that " +
            $"the decay begins below the peak." +
            (isBegun ? "" : $" Take fewer, e.g. --set training.schedule.decay_steps={(steps - WarmupSteps) / 2}"));

    /// <inheritdoc/>
    public override IEnumerable<ConfigProblem> Problems()
    {
        foreach (var problem in base.Problems()) yield return problem;
        if (DecaySteps < 0) yield return new("decay_steps", $"found {DecaySteps}, expected 0 or more");
    }
}
