using System.Diagnostics;
using Transformer.Configuration;
using Transformer.Data;
using Transformer.Model;
using Transformer.Native;
using Transformer.Runs;
using Transformer.Training;
using static TorchSharp.torch;

namespace Transformer.Benchmarks;

/// <summary>
/// The memory that training a configuration takes, beside what <see cref="TrainingMemory"/> predicts. Valid in a process that has done
/// nothing else.
/// </summary>
/// <param name="PeakBytes">The greatest growth of the process, from before the model to the end of the steps; null where the system does
/// not report it.</param>
/// <param name="PredictedBytes">What that is predicted to be.</param>
/// <param name="StepPeakBytes">The part of it that each step allocates and frees: what is not parameters, gradients, moments or
/// average.</param>
/// <param name="PredictedStepBytes">What that is predicted to be.</param>
/// <param name="StepSeconds">Seconds per step, with freed memory kept as in training; the best of three.</param>
public sealed record MemoryBenchmark(long? PeakBytes, long PredictedBytes, long? StepPeakBytes, long PredictedStepBytes, double StepSeconds)
{
    private const int Steps = 3;

    /// <summary>Trains on random tokens.</summary>
    /// <param name="config">Model, batch size and optimizer; its vocabulary size is known, and its data are not read.</param>
    /// <param name="cancellation">Ends the measurement between two steps.</param>
    /// <exception cref="InputException">Parameter rules that fit no parameter.</exception>
    public static MemoryBenchmark Run(RunConfig config, CancellationToken cancellation = default)
    {
        var (training, context) = (config.Training, config.Model.ContextLength);
        manual_seed(training.Seed);
        using var tokens = RandomTokens.Of(config.Model.VocabularySize!.Value, context + 1 + training.BatchSize * context, training.Seed);
        using var sampler = new BatchSampler(tokens, training.BatchSize, context, training.Seed, Sampling.Random);
        Allocator.ReturnFreedMemory();
        Train(steps: 1);    // loads code and what libraries keep
        long? step = null;
        var whole = ProcessMemory.PeakOf(() => Train(steps: 2));
        Allocator.ReturnFreedMemory();    // no free gaps into which the model would be allocated
        var seconds = Train(steps: 1, measured: steps => step = ProcessMemory.PeakOf(steps));
        var predicted = TrainingMemory.Of(new ModelSize(config.Model), training, training.BatchSize, context);
        return new(whole, predicted.Bytes, step, predicted.StepBytes, seconds);

        double Train(int steps, Action<Action>? measured = null)
        {
            using var model = new TransformerModel(config.Model) { Precision = training.Precision };
            using var space = new ParameterSpace(model, training.Parameters);
            using var optimizer = Optimizer.FromConfig(training.Optimizer, space);
            var trainingStep = new TrainingStep(model, space, optimizer, training);
            using var average = training.EmaDecay is { } decay ? new WeightAverage(space, decay) : null;
            model.train();
            for (var i = 0; i < steps; i++) Step(i);
            if (measured is null) return 0;
            measured(() => Step(steps));
            return Enumerable.Range(0, Steps + 1).Select(i =>
            {
                var watch = Stopwatch.StartNew();
                Step(steps + 1 + i);
                return watch.Elapsed.TotalSeconds;
            }).Skip(1).Min();

            void Step(int i)
            {
                cancellation.ThrowIfCancellationRequested();
                trainingStep.Run(1, [.. Enumerable.Range(0, training.GradientAccumulation).Select(_ => sampler.Next())]);
                average?.Update(i + 1);
            }
        }
    }
}
