using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using Transformer.Configuration;
using Transformer.Files;
using Transformer.Runs;
using static TorchSharp.torch;

namespace Transformer.Training;

/// <summary>A run's metrics: metrics.jsonl, and the same numbers as TensorBoard events beside it.</summary>
public sealed class MetricsLog : IDisposable
{
    /// <summary>The name of the file in the run's folder.</summary>
    public const string FileName = "metrics.jsonl";

    private static readonly JsonSerializerOptions Format = new(ConfigJson.Options)
    {
        WriteIndented = false,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    };

    private readonly string path;
    private readonly FileStream lines;
    private readonly TorchSharp.Modules.SummaryWriter events;

    /// <summary>
    /// Opens the log of a run that has done a number of steps; lines of later steps, which a killed process left, are dropped.
    /// </summary>
    /// <param name="folder">The run's folder.</param>
    /// <param name="step">The steps done.</param>
    public MetricsLog(string folder, int step)
    {
        path = Path.Combine(folder, FileName);
        var kept = Read(path).Where(line => line.Step <= step).ToList();
        DurableFile.WriteText(path, string.Concat(kept.Select(line => JsonSerializer.Serialize(line, Format) + "\n")));
        // unbuffered: a line is in the file as soon as it is written
        lines = new FileStream(path, FileMode.Append, FileAccess.Write, FileShare.Read, bufferSize: 0);
        events = utils.tensorboard.SummaryWriter(folder, createRunName: false);
    }

    /// <summary>The lines of a log; an incomplete last line is skipped.</summary>
    public static IEnumerable<Metrics> Read(string path)
    {
        if (!File.Exists(path)) yield break;
        // a run that goes on may have it open
        using var reader = new StreamReader(new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite));
        while (reader.ReadLine() is { } line)
        {
            Metrics? metrics;
            try
            {
                metrics = JsonSerializer.Deserialize<Metrics>(line, Format);
            }
            catch (JsonException)
            {
                yield break;
            }
            if (metrics is not null) yield return metrics;
        }
    }

    /// <summary>Writes one step.</summary>
    /// <exception cref="InputException">The files can no longer be written.</exception>
    public void Write(Metrics metrics)
    {
        try
        {
            lines.Write(Encoding.UTF8.GetBytes(JsonSerializer.Serialize(metrics, Format) + "\n"));
            if (metrics.TrainLoss is { } loss) events.add_scalar("loss/train", (float)loss, metrics.Step);
            if (metrics.ValidationLoss is { } validation) events.add_scalar("loss/validation", (float)validation, metrics.Step);
            if (metrics.ValidationAccuracy is { } accuracy) events.add_scalar("accuracy/validation", (float)accuracy, metrics.Step);
            foreach (var (index, rate) in (metrics.BoundaryRates ?? []).Index())
                events.add_scalar($"boundary_rate/hourglass_{index}", (float)rate, metrics.Step);
            for (var layer = 0; layer < metrics.Spans?.Count; layer++)
                for (var head = 0; head < metrics.Spans[layer].Count; head++)
                    events.add_scalar($"span/layer_{layer}/head_{head}", metrics.Spans[layer][head], metrics.Step);
            events.add_scalar("learning_rate", (float)metrics.LearningRate, metrics.Step);
            if (metrics.GradientNorm is { } norm) events.add_scalar("gradient_norm", (float)norm, metrics.Step);
            if (metrics.GradientScale is { } scale) events.add_scalar("gradient_scale", (float)scale, metrics.Step);
            events.add_scalar("tokens_per_second", (float)metrics.TokensPerSecond, metrics.Step);
            events.add_scalar("utilization", (float)metrics.Utilization, metrics.Step);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw DurableFile.Unwritable(path, e);
        }
    }

    /// <inheritdoc/>
    public void Dispose() => lines.Dispose();
}
