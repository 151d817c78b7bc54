using System.CommandLine;
using System.Diagnostics;
using Transformer.Configuration;
using Transformer.Data;
using Transformer.Model;
using Transformer.Native;
using Transformer.Runs;
using Transformer.Training;
using static TorchSharp.torch;

namespace Transformer.Cli;

/// <summary><c>train --dry-run</c>: what a run will take, from its configuration and a few steps.</summary>
internal static class DryRunReport
{
    private const int Steps = 3;

    /// <summary>Runs one step to warm up and three more, writes the estimate and leaves no files behind.</summary>
    public static int Write(RunConfig given, ParseResult request)
    {
        using var data = Dataset.Open(given.Data);
        data.RequireContext(given.Model.ContextLength);
        var config = Trainer.Resolve(given, data);
        if (config.Training.Schedule.WarningFor(config.Training.Steps) is { } warning)
            request.InvocationConfiguration.Error.WriteLine($"warning: {warning}");
        var size = new ModelSize(config.Model);
        var (seconds, batch) = Measure(config, data);
        var labelled = (double)batch.Predictions / batch.Inputs.Length;
        var memory = TrainingMemory.Of(size, config.Training, batch.Rows, batch.Columns, labelled).Bytes;
        var estimate = new
        {
            Steps = config.Training.Steps,
            Tokens = config.Training.Steps * batch.Inputs.LongLength * config.Training.GradientAccumulation,
            Parameters = size.Parameters,
            Seconds = seconds * config.Training.Steps,
            MemoryBytes = memory,
        };
        if (request.GetValue(SharedOptions.Json)) ScriptJson.Write(request.InvocationConfiguration.Output, estimate);
        else
        {
            request.InvocationConfiguration.Output.WriteLine(
                $"{estimate.Steps:n0} steps, {estimate.Tokens:n0} tokens, {Numbers.Count(estimate.Parameters)} parameters\n" +
                $"time    about {Numbers.Duration(TimeSpan.FromSeconds(estimate.Seconds))}, evaluations not counted\n" +
                $"memory  about {Numbers.Bytes(memory)} at its peak");
        }
        return CommandLine.Done;
    }

    // Seconds per step, and the first batch, which is as large as the others.
    private static (double Seconds, Batch Batch) Measure(RunConfig config, Dataset data)
    {
        Allocator.KeepFreedMemory();
        manual_seed(config.Training.Seed);
        using var model = new TransformerModel(config.Model) { Precision = config.Training.Precision };
        using var space = new ParameterSpace(model, config.Training.Parameters);
        using var optimizer = Optimizer.FromConfig(config.Training.Optimizer, space);
        var trainingStep = new TrainingStep(model, space, optimizer, config.Training);
        using var stream = data.Train(config);
        var watch = new Stopwatch();
        for (var step = 0; step <= Steps; step++)
        {
            if (step == 1) watch.Start();
            trainingStep.Run(1, [.. Enumerable.Range(0, config.Training.GradientAccumulation).Select(_ => stream.Next())]);
        }
        return (watch.Elapsed.TotalSeconds / Steps, stream.At(0));
    }
}
