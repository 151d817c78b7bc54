using ScottPlot;
using Transformer.Files;

namespace Transformer.Evaluation;

/// <summary>Where in its segments a text is predicted well, by several models, as an SVG picture.</summary>
public static class StreamPlot
{
    /// <summary>Draws the mean loss at each place of a segment, over all segments but the first.</summary>
    /// <param name="streams">What was measured, by the names of the models.</param>
    /// <param name="path">The picture's file.</param>
    /// <exception cref="Configuration.InputException">It cannot be written.</exception>
    public static void Write(IReadOnlyList<(string Name, StreamEvaluation Stream)> streams, string path)
    {
        using var plot = new Plot();
        foreach (var (name, stream) in streams)
        {
            var losses = stream.ByPlace();
            var line = plot.Add.ScatterLine(Enumerable.Range(1, losses.Count).Select(place => (double)place).ToArray(), [.. losses]);
            (line.LineWidth, line.LegendText) = (2, name);
        }
        plot.XLabel("place in its segment");
        plot.YLabel("loss (nats per token)");
        plot.ShowLegend(Alignment.UpperRight);
        DurableFile.WriteText(path, plot.GetSvgXml(800, 450));
    }
}
