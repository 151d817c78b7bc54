using System.CommandLine;
using Transformer.Benchmarks;
using Transformer.Runs;

namespace Transformer.Cli;

/// <summary><c>bench memory</c>: the peak memory of training, beside the predicted one.</summary>
internal static class BenchMemory
{
    /// <summary>The subcommand.</summary>
    /// <param name="source">The configuration to measure.</param>
    /// <param name="load">Reads it.</param>
    public static Command Create(Argument<string?> source, Func<string?, string[], RunConfig> load)
    {
        var memory = new Command("memory", "Measures the peak memory of training beside the predicted one.")
        {
            source, SharedOptions.Set, SharedOptions.Threads, SharedOptions.Json,
        };
        memory.SetAction((request, cancellation) =>
        {
            var config = load(request.GetValue(source), request.GetValue(SharedOptions.Set)!);
            return Task.FromResult(Run(request, config, cancellation));
        });
        return memory;
    }

    private static int Run(ParseResult request, RunConfig config, CancellationToken cancellation)
    {
        SharedOptions.UseThreads(request);
        var result = MemoryBenchmark.Run(config, cancellation);
        var output = request.InvocationConfiguration.Output;
        if (request.GetValue(SharedOptions.Json)) ScriptJson.Write(output, result);
        else
        {
            output.WriteLine($"{"training",-14}{Beside(result.PeakBytes, result.PredictedBytes)}");
            output.WriteLine($"{"per step",-14}{Beside(result.StepPeakBytes, result.PredictedStepBytes)}, " +
                $"{1000 * result.StepSeconds:n0} ms");
        }
        return CommandLine.Done;

        static string Beside(long? measured, long predicted) =>
            $"{(measured is { } bytes ? Numbers.Bytes(bytes) : "not reported by this system")}, predicted {Numbers.Bytes(predicted)}";
    }
}
