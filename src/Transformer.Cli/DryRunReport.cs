using System.CommandLine;
using System.Diagnostics;
using Transformer.Configuration;
using Transformer.Data;
using Transformer.Model;
using Transformer.Native;
using Transformer.Training;
using static TorchSharp.torch;

namespace Transformer.Cli;

/// <summary><c>train --dry-run</c>: what a run will take, from its configuration and a few steps.</summary>
internal static class DryRunReport
{
    private const int Steps = 3;

    /// <summary>Runs three steps and one more to warm up, writes the estimate and leaves nothing behind.</summary>
    public static int Write(RunConfig given, ParseResult request)
    {
        using var corpus = Corpus.Open(given.Data);
        corpus.RequireContext(given.Model.ContextLength);
        var config = Trainer.Resolve(given, corpus);
        var size = new ModelSize(config.Model);
        var memory = size.ParameterBytes + size.GradientBytes + size.MomentBytes(config.Training.Optimizer) + size.ActivationBytes(config.Training.BatchSize, config.Model.ContextLength);
        var seconds = SecondsPerStep(config, corpus) * config.Training.Steps;
        var estimate = new
        {
            Steps = config.Training.Steps,
            Tokens = (long)config.Training.Steps * config.Training.BatchSize * config.Training.GradientAccumulation * config.Model.ContextLength,
            Parameters = size.Parameters,
            Seconds = seconds,
            MemoryBytes = memory,
        };
        if (request.GetValue(SharedOptions.Json)) ScriptJson.Write(request.InvocationConfiguration.Output, estimate);
        else
        {
            request.InvocationConfiguration.Output.WriteLine(
                $"{estimate.Steps:n0} steps, {estimate.Tokens:n0} tokens, {Numbers.Count(estimate.Parameters)} parameters\n" +
                $"time    about {TimeSpan.FromSeconds(seconds):h\\:mm\\:ss}, evaluations not counted\n" +
                $"memory  about {Numbers.Bytes(memory)} for parameters, gradients, moments and activations");
        }
        return CommandLine.Done;
    }

    private static double SecondsPerStep(RunConfig config, Corpus corpus)
    {
        Allocator.KeepFreedMemory();
        manual_seed(config.Training.Seed);
        using var model = new TransformerModel(config.Model);
        using var space = new ParameterSpace(model, config.Training.Parameters);
        using var optimizer = Optimizer.FromConfig(config.Training.Optimizer, space);
        using var sampler = new BatchSampler(corpus.Training, config.Training.BatchSize, config.Model.ContextLength, config.Training.Seed, config.Data.Sampling);
        var watch = new Stopwatch();
        for (var step = 0; step <= Steps; step++)
        {
            if (step == 1) watch.Start();
            TrainingStep.Run(model, space, optimizer, config.Training, 1, [.. Enumerable.Range(0, config.Training.GradientAccumulation).Select(_ => sampler.Next())]);
        }
        return watch.Elapsed.TotalSeconds / Steps;
    }
}
