using Transformer.Runs;

namespace Transformer.Training;

/// <summary>The learning rate at each step of a schedule, as a fraction of the peak.</summary>
public static class LearningRate
{
    /// <param name="schedule">Its kind and numbers.</param>
    /// <param name="step">Counted from 0.</param>
    /// <param name="steps">The number of steps of the run.</param>
    /// <returns>0 to 1.</returns>
    public static double At(ScheduleConfig schedule, int step, int steps)
    {
        if (step < schedule.WarmupSteps) return (step + 1.0) / (schedule.WarmupSteps + 1);
        var progress = Math.Clamp((step - schedule.WarmupSteps) / (double)Math.Max(1, steps - schedule.WarmupSteps), 0, 1);
        return schedule switch
        {
            ConstantScheduleConfig => 1,
            LinearScheduleConfig linear => Between(linear, 1 - progress),
            CosineScheduleConfig cosine => Between(cosine, (1 + Math.Cos(Math.PI * progress)) / 2),
            WarmupStableDecayScheduleConfig stable =>
                Between(stable, Math.Clamp((steps - step) / (double)Math.Max(1, stable.DecaySteps), 0, 1)),
            _ => throw new ArgumentOutOfRangeException(nameof(schedule), schedule, "no such schedule"),
        };
    }

    // 1 is the peak, 0 the last rate.
    private static double Between(DecayingScheduleConfig schedule, double height) =>
        schedule.FinalRatio + (1 - schedule.FinalRatio) * height;
}
