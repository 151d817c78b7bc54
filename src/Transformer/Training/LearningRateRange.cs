using Transformer.Data;
using Transformer.Model;
using Transformer.Runs;
using static TorchSharp.torch;

namespace Transformer.Training;

/// <summary>
/// The learning-rate range test (Smith 2017, arXiv:1506.01186): the rate rises exponentially from a hundredth of the configured one to a
/// hundred times it. A good peak lies below the rate at which the loss is lowest.
/// </summary>
public static class LearningRateRange
{
    /// <summary>One step of the test.</summary>
    /// <param name="LearningRate">The rate of the step.</param>
    /// <param name="Loss">The smoothed loss before it.</param>
    public readonly record struct Point(double LearningRate, double Loss);

    /// <summary>Runs the test; it ends early when the loss has grown to four times its lowest value or is not finite.</summary>
    /// <param name="config">The resolved run.</param>
    /// <param name="data">What it trains on.</param>
    /// <param name="steps">The number of steps from the lowest to the highest rate, two or more.</param>
    /// <param name="cancellation">Ends the test between two steps.</param>
    public static IReadOnlyList<Point> Run(RunConfig config, Dataset data, int steps = 200, CancellationToken cancellation = default)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(steps, 2);
        var training = config.Training;
        manual_seed(training.Seed);
        using var model = new TransformerModel(config.Model) { Precision = training.Precision };
        InitialWeights.CopyInto(model, training);
        using var space = new ParameterSpace(model, training.Parameters);
        using var optimizer = Optimizer.FromConfig(training.Optimizer, space);
        var trainingStep = new TrainingStep(model, space, optimizer, training);
        using var stream = data.Train(config);
        var points = new List<Point>();
        var (smooth, lowest) = (0.0, double.PositiveInfinity);
        for (var step = 0; step < steps; step++)
        {
            cancellation.ThrowIfCancellationRequested();
            var factor = Math.Pow(10, -2 + 4.0 * step / (steps - 1));
            Batch[] batches = [.. Enumerable.Range(0, training.GradientAccumulation).Select(_ => stream.Next())];
            var result = trainingStep.Run(factor, batches);
            if (!double.IsFinite(result.Loss)) break;
            if (!result.IsFinite) continue;    // the gradient overflowed, and the step was skipped
            smooth = points.Count == 0 ? result.Loss : 0.9 * smooth + 0.1 * result.Loss;
            lowest = Math.Min(lowest, smooth);
            points.Add(new Point(training.Optimizer.LearningRate * factor, smooth));
            if (smooth > 4 * lowest) break;
        }
        return points;
    }
}
