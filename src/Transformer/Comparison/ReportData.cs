using System.Text.Json;
using Transformer.Training;

namespace Transformer.Comparison;

/// <summary>
/// The numbers of a report's runs as JSON for the page's script, a list a column. Steps are averaged where there are more than a screen
/// shows; evaluations are all there.
/// </summary>
internal static class ReportData
{
    /// <summary>The most points of a line that is measured at every step.</summary>
    public const int Points = 1000;

    /// <summary>The most samples of a run.</summary>
    public const int Samples = 100;

    private static readonly JsonSerializerOptions Format = new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower };

    /// <summary>The JSON, in which HTML's own characters are escaped.</summary>
    public static string Json(IEnumerable<ReportRun> runs, bool isLive) => JsonSerializer.Serialize(
        new { Live = isLive, Written = isLive ? DateTime.UtcNow : (DateTime?)null, Runs = runs.Select(Run) }, Format);

    // A line with the processor time of all steps so far, where the log has it.
    private sealed record Point(Metrics Line, double? CoreSeconds);

    private static object Run(ReportRun run)
    {
        var points = WithCoreSeconds(run.Metrics).ToList();
        Point[][] parts = [.. points.Chunk(Math.Max(1, (points.Count + Points - 1) / Points))];
        Point[] evaluated = [.. points.Where(point => point.Line.ValidationLoss is not null)];
        Point[] ends = [.. parts.Select(part => part[^1])];
        return new
        {
            run.Name,
            run.Group,
            run.FlopsPerToken,
            Training = new
            {
                Step = ends.Select(point => point.Line.Step),
                Tokens = ends.Select(point => point.Line.Tokens),
                Seconds = ends.Select(point => Short(point.Line.Seconds)),
                CoreSeconds = ends.Select(point => Short(point.CoreSeconds)),
                Loss = Means(line => line.TrainLoss),
                LearningRate = Means(line => line.LearningRate),
                GradientNorm = Means(line => line.GradientNorm),
                TokensPerSecond = Means(line => line.TokensPerSecond),
                Utilization = Means(line => line.Utilization),
                CoreSecondsPerToken = Means(line => line.CoreSecondsPerToken),
            },
            Validation = new
            {
                Step = evaluated.Select(point => point.Line.Step),
                Tokens = evaluated.Select(point => point.Line.Tokens),
                Seconds = evaluated.Select(point => Short(point.Line.Seconds)),
                CoreSeconds = evaluated.Select(point => Short(point.CoreSeconds)),
                Loss = evaluated.Select(point => Short(point.Line.ValidationLoss)),
                Accuracy = evaluated.Select(point => Short(point.Line.ValidationAccuracy)),
            },
            Samples = Some(run.Samples).Select(sample => new { sample.Step, sample.Text }),
        };

        IEnumerable<double?> Means(Func<Metrics, double?> value) =>
            parts.Select(part => Short(part.Average(point => value(point.Line))));
    }

    private static IEnumerable<Point> WithCoreSeconds(IEnumerable<Metrics> lines)
    {
        var (sum, before) = ((double?)0, 0L);
        foreach (var line in lines)
        {
            sum += line.CoreSecondsPerToken * (line.Tokens - before);
            before = line.Tokens;
            yield return new(line, sum);
        }
    }

    // Evenly over the run, the last one always.
    private static IEnumerable<TrainingEvent.Sampled> Some(IReadOnlyList<TrainingEvent.Sampled> samples)
    {
        var every = Math.Max(1, (samples.Count + Samples - 1) / Samples);
        return samples.Where((_, i) => (samples.Count - 1 - i) % every == 0);
    }

    // Six digits are more than a picture shows.
    private static double? Short(double? value) => value is { } number && double.IsFinite(number) ? double.Parse($"{number:g6}") : null;
}
