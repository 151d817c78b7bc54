using System.CommandLine;
using Transformer.Data;
using Transformer.Runs;
using Transformer.Training;

namespace Transformer.Cli;

/// <summary><c>train --learning-rate-range</c>: the loss at each of a rising series of learning rates.</summary>
internal static class LearningRateRangeReport
{
    /// <summary>Runs the test and writes its points.</summary>
    public static int Write(RunConfig config, ParseResult request, CancellationToken cancellation)
    {
        using var data = Dataset.Open(config.Data);
        data.RequireContext(config.RowTokens);
        var points = LearningRateRange.Run(Trainer.Resolve(config, data), data, cancellation: cancellation);
        var output = request.InvocationConfiguration.Output;
        if (request.GetValue(SharedOptions.Json))
        {
            ScriptJson.Write(output, points);
            return CommandLine.Done;
        }
        output.WriteLine("learning rate   loss (smoothed)");
        foreach (var point in points.Where((_, step) => step % 10 == 0)) output.WriteLine($"{point.LearningRate,-16:g3}{point.Loss:f4}");
        if (points.Count > 0)
            output.WriteLine($"lowest at {points.MinBy(point => point.Loss).LearningRate:g3}; a good peak is a third to a tenth of it");
        return CommandLine.Done;
    }
}
