using System.CommandLine;
using System.CommandLine.Help;
using Transformer.Configuration;
using Transformer.Distributed;

namespace Transformer.Cli;

/// <summary>The command <c>transformer</c>: one file a verb.</summary>
internal static class Program
{
    private static Command? commands;

    private static async Task<int> Main(string[] arguments)
    {
        // Created first: once the process is out of file descriptors, the code for writing can no longer be loaded.
        var error = StandardWriter.Error;
        try
        {
            return await RunAsync(arguments, error).ConfigureAwait(false);
        }
        catch (Exception failure)
        {
            error.WriteLine(failure.Message);
            return CommandLine.Failed;
        }
    }

    private static Task<int> RunAsync(string[] arguments, TextWriter error)
    {
        // mpirun gives its ranks a terminal to write to, which then gets control sequences among the results.
        if (Launch.Ranks > 1) Environment.SetEnvironmentVariable("TERM", "dumb");
        ShellCommand.Program = ShellCommand.Invocation(
            Environment.ProcessPath ?? "transformer", typeof(Program).Assembly.Location,
            (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator), Environment.CurrentDirectory);
        return CommandLine.RunAsync(Commands(), arguments, StandardWriter.Output, error);
    }

    /// <summary>
    /// All verbs under the root. They are built once: their options are static, and an option remembers every command that it was added
    /// to.
    /// </summary>
    public static Command Commands() => commands ??= new(
        "transformer", "Trains, evaluates, runs and inspects small decoder-only language models.")
    {
        TrainVerb.Create(),
        ReportVerb.Create(),
        EvaluateVerb.Create(),
        InspectVerb.Create(),
        GenerateVerb.Create(),
        ImportVerb.Create(),
        ExportVerb.Create(),
        DataVerb.Create(),
        MemoryVerb.Create(),
        RecipesVerb.Create(),
        InitVerb.Create(),
        ConfigVerb.Create(),
        AblateVerb.Create(),
        BenchVerb.Create(),
        ReproduceVerb.Create(),
        DoctorVerb.Create(),
        new HelpOption(),
        new VersionOption(),
        SharedOptions.Kinds,
        SharedOptions.Verbose,
    };
}
