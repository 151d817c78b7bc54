using Transformer.Comparison;
using Transformer.Runs;
using Transformer.Training;

namespace Transformer.Tests.Comparison;

/// <summary>Runs with plausible numbers that were never trained.</summary>
internal static class SampleRuns
{
    /// <summary>A run of a recipe, evaluated at every tenth step, with a sample at every fourth part.</summary>
    public static ReportRun Of(string name, int steps, string? group = null, int seed = 1) =>
        new()
        {
            Name = name,
            Group = group,
            Config = Config($"training.seed={seed}", $"training.steps={Math.Max(1, steps)}"),
            Metrics = [.. Enumerable.Range(1, steps).Select(step => Line(step, seed))],
            Samples = [.. Enumerable.Range(1, 4).Where(_ => steps >= 4).Select(
                part => new TrainingEvent.Sampled(steps * part / 4, $"part {part} by {name}"))],
        };

    /// <summary>A recipe's configuration as a run resolves it.</summary>
    public static RunConfig Config(params string[] overrides) =>
        ConfigFile.Load("shakespeare-char", ["model.vocabulary_size=65", .. overrides]);

    /// <summary>A line of a log.</summary>
    public static Metrics Line(int step, int seed = 1) => new()
    {
        Step = step,
        Tokens = 1536L * step,
        TrainLoss = 1.4 + 3 / Math.Sqrt(step + seed) + 0.1 * Math.Sin(7 * step * seed),
        ValidationLoss = step % 10 == 0 ? 1.5 + 3 / Math.Sqrt(step + seed) : null,
        ValidationAccuracy = step % 10 == 0 ? 0.5 - 1 / Math.Sqrt(step + seed) : null,
        LearningRate = Math.Max(0, 0.02 - 1e-4 * step),    // 0 at the end, which no logarithm has
        GradientNorm = 1 + 5.0 / step,
        TokensPerSecond = 9000 + 100 * seed + step % 7,
        Utilization = 0.5 + 0.01 * (step % 5),
        Seconds = (0.1 + 0.01 * seed) * step,
        CoreSecondsPerToken = 8e-5,
    };
}
