using System.Diagnostics;
using Transformer.Configuration;
using Transformer.Data;
using Transformer.Model;
using Transformer.Native;
using Transformer.Runs;
using Transformer.Training;
using static TorchSharp.torch;

namespace Transformer.Benchmarks;

// T tokens

/// <summary>
/// The cost of one token mixer at one length: a training step on one sequence of T tokens, and decoding one token after T - 16.
/// </summary>
/// <param name="Mixer">The name that the request gave.</param>
/// <param name="Length">T.</param>
/// <param name="StepSeconds">Forward, backward and update; the best of three steps after one to warm up.</param>
/// <param name="PeakBytes">The peak of what a step adds to the process's memory; null where the system does not report it.</param>
/// <param name="DecodeSeconds">Seconds per token near the end of the context; the mean of 16, some of which complete a group.</param>
/// <param name="StateBytes">The size of the sequence state after T tokens.</param>
public sealed record ScalingBenchmark(string Mixer, int Length, double StepSeconds, long? PeakBytes, double DecodeSeconds, long StateBytes)
{
    private const int Steps = 3, Decoded = 16;

    /// <summary>Measures a model whose context length is T, on random tokens.</summary>
    /// <param name="mixer">Its name.</param>
    /// <param name="config">The model, batch size 1; its vocabulary size is known, and its data are not read.</param>
    /// <param name="cancellation">Ends the measurement between two steps.</param>
    /// <exception cref="InputException">The context is too short for the tokens that are decoded.</exception>
    public static ScalingBenchmark Run(string mixer, RunConfig config, CancellationToken cancellation = default)
    {
        var length = config.Model.ContextLength;
        if (length <= Decoded)
            throw new InputException($"model.context_length: found {length}, but {Decoded} tokens are decoded at its end; take more.");
        Allocator.KeepFreedMemory();
        manual_seed(config.Training.Seed);
        using var model = new TransformerModel(config.Model) { Precision = config.Training.Precision };
        using var tokens = RandomTokens.Of(config.Model.VocabularySize!.Value, length + 1, config.Training.Seed);
        var (step, peak) = Train(model, tokens, config, cancellation);
        cancellation.ThrowIfCancellationRequested();
        var (decode, state) = Decode(model, tokens);
        return new(mixer, length, step, peak, decode, state);
    }

    private static (double Seconds, long? PeakBytes) Train(
        TransformerModel model, TokenSequence tokens, RunConfig config, CancellationToken cancellation)
    {
        using var space = new ParameterSpace(model);
        using var optimizer = Optimizer.FromConfig(config.Training.Optimizer, space);
        var trainingStep = new TrainingStep(model, space, optimizer, config.Training);
        var batch = ValidationBatches.Full(tokens, 1, config.Model.ContextLength).First();
        model.train();
        var best = double.PositiveInfinity;
        for (var step = 0; step <= Steps; step++)
        {
            cancellation.ThrowIfCancellationRequested();
            var watch = Stopwatch.StartNew();
            Step();
            if (step > 0) best = Math.Min(best, watch.Elapsed.TotalSeconds);
        }
        return (best, ProcessMemory.PeakOf(Step));

        void Step() => trainingStep.Run(1, [batch]);
    }

    private static (double Seconds, long StateBytes) Decode(TransformerModel model, TokenSequence tokens)
    {
        using var scope = NewDisposeScope();
        using var _ = inference_mode();
        model.eval();
        var length = model.Config.ContextLength;
        var ids = new long[length];
        tokens.Read(0, ids);
        using var state = model.NewState(rows: 1);
        model.Hidden(tensor(ids[..^Decoded]).unsqueeze(0), state);
        var watch = Stopwatch.StartNew();
        for (var at = 0; at < Decoded; at++)
        {
            using var token = NewDisposeScope();
            model.forward(tensor(ids[length - Decoded + at]).reshape(1, 1), state)[0, 0, 0].item<float>();
        }
        return (watch.Elapsed.TotalSeconds / Decoded, state.Bytes);
    }
}
