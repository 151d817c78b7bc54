using System.CommandLine;
using System.Diagnostics;
using Transformer.Comparison;
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
    private const int Steps = 3, ThreadPasses = 20;

    /// <summary>
    /// Writes the memory, predicted before anything of the run's size is allocated, and the time, measured with one step to warm up and
    /// three more where the memory is there for them. Leaves no files behind.
    /// </summary>
    /// <param name="given">The run.</param>
    /// <param name="request">The request.</param>
    /// <param name="choosesThreads">Whether the run will choose how many threads it takes, and so the measurement does.</param>
    public static int Write(RunConfig given, ParseResult request, bool choosesThreads)
    {
        using var data = Dataset.Open(given.Data);
        data.RequireContext(given);
        var config = Trainer.Resolve(given, data);
        if (config.Training.Schedule.WarningFor(config.Training.Steps) is { } warning)
            request.InvocationConfiguration.Error.WriteLine($"warning: {warning}");
        var size = new ModelSize(config.Model);
        var cost = DesignCost.Of(config, data);
        var step = TrainingMemory.Of(size, config.Training, cost.Rows, cost.Columns, cost.Labelled).Bytes;
        var runtime = RuntimeBytes();
        var free = SystemFacts.FreeMemory();
        var tokens = (long)cost.TokensOf(config);

        var (output, isJson) = (request.InvocationConfiguration.Output, request.GetValue(SharedOptions.Json));
        if (!isJson)
            output.WriteLine(
                $"{config.Training.Steps:n0} steps, {tokens:n0} tokens, {Numbers.Count(size.Parameters)} parameters\n" +
                $"memory  about {Numbers.Bytes(step + runtime)} at its peak: {Numbers.Bytes(step)} for the model and its steps, " +
                $"{Numbers.Bytes(runtime)} for .NET, libtorch and the data");
        var seconds = step <= free ? Measure(config, data, choosesThreads) * config.Training.Steps : (double?)null;
        if (isJson)
            ScriptJson.Write(output, new
            {
                config.Training.Steps,
                Tokens = tokens,
                size.Parameters,
                Seconds = seconds,
                MemoryBytes = step + runtime,
                RuntimeBytes = runtime,
                FreeMemoryBytes = free,
            });
        else
            output.WriteLine(
                seconds is { } time ? $"time    about {Numbers.Duration(TimeSpan.FromSeconds(time))}, evaluations not counted"
                    : $"time    not measured: a step needs {Numbers.Bytes(step)}, and {Numbers.Bytes(free)} are free here. " +
                        "Lower training.batch_size and raise training.gradient_accumulation, or set training.activation_checkpointing.");
        return CommandLine.Done;
    }

    // What this process holds once it has trained something: code, the data, and the matrices by which a run measures the machine.
    private static long RuntimeBytes()
    {
        Allocator.KeepFreedMemory();
        LibTorchFacts.TrainOneStep();
        _ = MachineRate.MatrixFlopsPerSecond(CPU, tries: 1);
        return Environment.WorkingSet;
    }

    // Seconds per step.
    private static double Measure(RunConfig config, Dataset data, bool choosesThreads)
    {
        manual_seed(config.Training.Seed);
        using var model = new TransformerModel(config.Model) { Precision = config.Training.Precision };
        using var space = new ParameterSpace(model, config.Training.Parameters);
        using var optimizer = Optimizer.FromConfig(config.Training.Optimizer, space);
        var trainingStep = new TrainingStep(model, space, optimizer, config.Training);
        using var stream = data.Train(config);
        if (choosesThreads) _ = ThreadChoice.Measure(trainingStep, stream.At(0), ThreadPasses);
        var watch = new Stopwatch();
        for (var step = 0; step <= Steps; step++)
        {
            if (step == 1) watch.Start();
            trainingStep.Run(1, [.. Enumerable.Range(0, config.Training.GradientAccumulation).Select(_ => stream.Next())]);
        }
        return watch.Elapsed.TotalSeconds / Steps;
    }
}
