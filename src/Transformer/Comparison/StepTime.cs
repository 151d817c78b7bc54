using System.Diagnostics;
using Transformer.Data;
using Transformer.Model;
using Transformer.Native;
using Transformer.Runs;
using Transformer.Training;
using static TorchSharp.torch;

namespace Transformer.Comparison;

/// <summary>The time of training steps of two runs, measured in turn, so that what slows the machine for a while slows both.</summary>
internal static class StepTime
{
    private const int Rounds = 9;
    private const double RoundSeconds = 0.15;

    /// <summary>The median over alternating rounds of the second run's time per step over the first one's.</summary>
    /// <param name="first">A resolved run and its data.</param>
    /// <param name="second">Another one.</param>
    /// <param name="threads">The threads that the runs are computed with.</param>
    /// <param name="cancellation">Ends the measurement between two steps.</param>
    public static double Ratio(
        (RunConfig Run, Dataset Data) first, (RunConfig Run, Dataset Data) second, int threads, CancellationToken cancellation = default)
    {
        Allocator.KeepFreedMemory();
        var before = get_num_threads();
        set_num_threads(threads);
        try
        {
            return Ratio(first, second, cancellation);
        }
        finally
        {
            set_num_threads(before);
        }
    }

    private static double Ratio(
        (RunConfig Run, Dataset Data) first, (RunConfig Run, Dataset Data) second, CancellationToken cancellation)
    {
        using var one = new Steps(first.Run, first.Data);
        using var other = new Steps(second.Run, second.Data);
        foreach (var warmUp in (Steps[])[one, other]) warmUp.Seconds(cancellation);
        double[] ratios = [.. Enumerable.Range(0, Rounds).Select(_ =>
        {
            var before = one.Seconds(cancellation);
            return other.Seconds(cancellation) / before;
        }).Order()];
        return ratios[Rounds / 2];
    }

    private sealed class Steps : IDisposable
    {
        private readonly TransformerModel model;
        private readonly ParameterSpace space;
        private readonly Optimizer optimizer;
        private readonly TrainingStep step;
        private readonly TrainingBatches batches;
        private readonly int accumulation;

        public Steps(RunConfig run, Dataset data)
        {
            manual_seed(run.Training.Seed);
            model = new TransformerModel(run.Model) { Precision = run.Training.Precision };
            space = new ParameterSpace(model, run.Training.Parameters);
            optimizer = Optimizer.FromConfig(run.Training.Optimizer, space);
            step = new TrainingStep(model, space, optimizer, run.Training);
            (batches, accumulation) = (data.Train(run), run.Training.GradientAccumulation);
            model.train();
        }

        // Per step, over as many steps as a round takes.
        public double Seconds(CancellationToken cancellation)
        {
            var (watch, steps) = (Stopwatch.StartNew(), 0);
            do
            {
                cancellation.ThrowIfCancellationRequested();
                step.Run(1, [.. Enumerable.Range(0, accumulation).Select(_ => batches.Next())]);
                steps++;
            }
            while (watch.Elapsed.TotalSeconds < RoundSeconds);
            return watch.Elapsed.TotalSeconds / steps;
        }

        public void Dispose()
        {
            batches.Dispose();
            optimizer.Dispose();
            space.Dispose();
            model.Dispose();
        }
    }
}
