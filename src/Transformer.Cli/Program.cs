using System.CommandLine;
using System.CommandLine.Help;
using Transformer.Distributed;

namespace Transformer.Cli;

/// <summary>The command <c>transformer</c>: one file a verb.</summary>
internal static class Program
{
    private static async Task<int> Main(string[] arguments)
    {
        // mpirun gives its ranks a terminal to write to, which then gets control sequences among the results.
        if (Launch.Ranks > 1) Environment.SetEnvironmentVariable("TERM", "dumb");
        return await CommandLine.RunAsync(Commands(), arguments, Console.Out, Console.Error).ConfigureAwait(false);
    }

    /// <summary>All verbs under the root.</summary>
    public static Command Commands() => new("transformer", "Trains, evaluates, runs and inspects small decoder-only language models.")
    {
        TrainVerb.Create(),
        EvaluateVerb.Create(),
        GenerateVerb.Create(),
        ImportVerb.Create(),
        ExportVerb.Create(),
        DataVerb.Create(),
        RecipesVerb.Create(),
        InitVerb.Create(),
        ConfigVerb.Create(),
        BenchVerb.Create(),
        ReproduceVerb.Create(),
        DoctorVerb.Create(),
        new HelpOption(),
        new VersionOption(),
        SharedOptions.Kinds,
        SharedOptions.Verbose,
    };
}
