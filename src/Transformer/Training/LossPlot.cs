using ScottPlot;
using Transformer.Files;

namespace Transformer.Training;

/// <summary>The loss curve of a run as an SVG picture.</summary>
public static class LossPlot
{
    /// <summary>Draws training loss (each step faint, and smoothed) and validation loss over the steps.</summary>
    /// <param name="metrics">The run's metrics.</param>
    /// <param name="path">The picture's file.</param>
    public static void Write(IReadOnlyList<Metrics> metrics, string path)
    {
        if (metrics.Count == 0) return;
        using var plot = new Plot();
        var trained = metrics.Where(line => line.TrainLoss is not null).ToArray();
        var (steps, losses) = (
            trained.Select(line => (double)line.Step).ToArray(), trained.Select(line => line.TrainLoss!.Value).ToArray());
        var each = plot.Add.ScatterLine(steps, losses, Colors.C0.WithAlpha(0.25));
        each.LineWidth = 1;
        var smooth = plot.Add.ScatterLine(steps, Smooth(losses), Colors.C0);
        (smooth.LineWidth, smooth.LegendText) = (2, "training, smoothed");
        var evaluated = metrics.Where(line => line.ValidationLoss is not null).ToArray();
        var validation = plot.Add.Scatter(
            evaluated.Select(line => (double)line.Step).ToArray(), [.. evaluated.Select(line => line.ValidationLoss!.Value)], Colors.C1);
        (validation.LineWidth, validation.LegendText) = (2, "validation");
        plot.XLabel("step");
        plot.YLabel("loss (nats per token)");
        plot.ShowLegend(ScottPlot.Alignment.UpperRight);
        DurableFile.WriteText(path, plot.GetSvgXml(800, 450));
    }

    // The mean over a fiftieth of the run around each step.
    private static double[] Smooth(double[] values)
    {
        var reach = values.Length / 100;
        return [.. values.Select((_, i) => values[Math.Max(0, i - reach)..Math.Min(values.Length, i + reach + 1)].Average())];
    }
}
