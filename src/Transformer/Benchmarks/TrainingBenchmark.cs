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
/// The speed of training a configuration, beside the machine's matrix rate. Steps and matrix products are measured in alternating rounds,
/// and each round gives a ratio of its own: whatever slows the machine for a while slows both.
/// </summary>
/// <param name="TokensPerSecond">Tokens trained on; the median of the rounds, as are the next three.</param>
/// <param name="ModelFlopsPerSecond">Operations of <see cref="ModelSize.FlopsPerToken"/>.</param>
/// <param name="MatrixFlopsPerSecond">Operations of the product of two 2048 x 2048 matrices in the same type, the better of before and
/// after.</param>
/// <param name="Utilization">The ratio of the two.</param>
/// <param name="UtilizationMinimum">The least ratio of a round.</param>
/// <param name="UtilizationMaximum">The greatest ratio of a round.</param>
/// <param name="Rounds">How many ratios there are.</param>
/// <param name="Threads">The threads that libtorch used.</param>
/// <param name="Parameters">The size of the model.</param>
public sealed record TrainingBenchmark(
    double TokensPerSecond, double ModelFlopsPerSecond, double MatrixFlopsPerSecond,
    double Utilization, double UtilizationMinimum, double UtilizationMaximum, int Rounds, int Threads, long Parameters)
{
    private const int WarmUp = 2, Steps = 10;

    /// <summary>Trains on random tokens, with the steps of a training run.</summary>
    /// <param name="config">Model, batch size and optimizer; its vocabulary size is known, and its data are not read.</param>
    /// <param name="rounds">How often ten steps are measured.</param>
    /// <param name="device">The model's device; the CPU where null.</param>
    /// <param name="cancellation">Ends the measurement between two steps.</param>
    /// <exception cref="InputException">Parameter rules that fit no parameter.</exception>
    public static TrainingBenchmark Run(RunConfig config, int rounds, Device? device = null, CancellationToken cancellation = default)
    {
        var (training, context) = (config.Training, config.Model.ContextLength);
        Allocator.KeepFreedMemory();
        manual_seed(training.Seed);
        using var model = new TransformerModel(config.Model, device) { Precision = training.Precision };
        using var space = new ParameterSpace(model, training.Parameters);
        using var optimizer = Optimizer.FromConfig(training.Optimizer, space);
        var trainingStep = new TrainingStep(model, space, optimizer, training);
        using var tokens = RandomTokens.Of(config.Model.VocabularySize!.Value, context + 1 + training.BatchSize * context, training.Seed);
        using var sampler = new BatchSampler(tokens, training.BatchSize, context, training.Seed, Sampling.Random);
        model.train();
        Train(WarmUp);

        var size = new ModelSize(config.Model);
        var tokensPerRound = (double)Steps * training.BatchSize * training.GradientAccumulation * context;
        var (seconds, limits) = (new double[rounds], new double[rounds]);
        var before = MachineRate.MatrixFlopsPerSecond(model.Device, model.Precision);
        for (var round = 0; round < rounds; round++)
        {
            var watch = Stopwatch.StartNew();
            Train(Steps);
            seconds[round] = watch.Elapsed.TotalSeconds;
            var after = MachineRate.MatrixFlopsPerSecond(model.Device, model.Precision);
            (limits[round], before) = (Math.Max(before, after), after);
        }

        var flops = tokensPerRound * size.FlopsPerToken(context);
        var pace = Spread.Of(seconds).Median;
        var ratio = Spread.Of(seconds.Zip(limits, (taken, limit) => flops / taken / limit));
        return new(
            tokensPerRound / pace, flops / pace, Spread.Of(limits).Median,
            ratio.Median, ratio.Minimum, ratio.Maximum, rounds, get_num_threads(), size.Parameters);

        void Train(int steps)
        {
            for (var step = 0; step < steps; step++)
            {
                cancellation.ThrowIfCancellationRequested();
                trainingStep.Run(1, [.. Enumerable.Range(0, training.GradientAccumulation).Select(_ => sampler.Next())]);
            }
        }
    }
}
