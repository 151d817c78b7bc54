using System.CommandLine;
using Transformer.Native;

namespace Transformer.Cli;

/// <summary><c>doctor</c>: whether training works here and how fast, and what to do where it does not.</summary>
internal static class DoctorVerb
{
    /// <summary>The verb.</summary>
    public static Command Create()
    {
        var verb = new Command("doctor", "Checks whether training works here and how fast, and says what to do where it does not.")
        {
            SharedOptions.Json,
        };
        verb.SetAction(Run);
        return verb;
    }

    private static int Run(ParseResult request)
    {
        var system = SystemFacts.Read();
        var (libtorch, refusal) = TryLibTorch();
        string[] problems =
        [
            .. refusal is null ? [] : (string[])[$"Nothing can be trained here: {refusal}"],
            .. system.Problems(),
            .. libtorch?.Problems(system) ?? [],
        ];
        var output = request.InvocationConfiguration.Output;
        if (request.GetValue(SharedOptions.Json))
            ScriptJson.Write(output, new { CanTrain = libtorch is not null, System = system, Libtorch = libtorch, Problems = problems });
        else Write(output, system, libtorch, problems);
        return libtorch is null ? CommandLine.Failed : CommandLine.Done;
    }

    private static void Write(TextWriter output, SystemFacts system, LibTorchFacts? libtorch, string[] problems)
    {
        Line("system", system.System);
        Line(".NET", system.Dotnet);
        Line("cores", $"{system.Cores}{(system.OtherCores is { } others ? $", {others:f1} of them used by other processes" : "")}");
        Line("free memory", Numbers.Bytes(system.FreeMemoryBytes));
        Line("free disk", $"{Numbers.Bytes(system.FreeDiskBytes)} in {Environment.CurrentDirectory}");
        Line("MPI", system.Mpi ?? "none; only needed to train in several processes");
        if (libtorch is not null)
        {
            Line("libtorch", $"of TorchSharp {libtorch.Torchsharp}, loaded {libtorch.Loaded}");
            if (libtorch.Folder is { } folder) Line("", folder);
            Line("threads", $"{libtorch.Threads}");
            Line("matrix rate", $"{Numbers.Flops(libtorch.MatrixFlopsPerSecond)}/s in fp32");
            Line("memory rate", $"{Numbers.Bytes(libtorch.MemoryBytesPerSecond)}/s");
            Line("GPUs", libtorch.GraphicsProcessors == 0 ? "none" : $"{libtorch.GraphicsProcessors}");
        }
        output.WriteLine();
        foreach (var problem in problems) output.WriteLine(problem);
        if (problems.Length == 0) output.WriteLine("No problems found.");

        void Line(string name, string value) => output.WriteLine($"{name,-14}{value}");
    }

    private static (LibTorchFacts? Facts, string? Refusal) TryLibTorch()
    {
        try
        {
            return (LibTorchFacts.Read(), null);
        }
        catch (Exception e)
        {
            return (null, Explain(e));
        }
    }

    private static string Explain(Exception failure)
    {
        var reason = failure is TypeInitializationException { InnerException: { } inner } ? inner : failure;
        var advice = reason switch
        {
            not (DllNotFoundException or BadImageFormatException or NotSupportedException) => "",
            _ when reason.Message.Contains("GLIBC_") =>
                "This system's C library is too old for libtorch: take Debian 11, Ubuntu 20.04 or later.",
            _ when OperatingSystem.IsLinux() && Environment.GetEnvironmentVariable(LibTorch.FolderVariable) is not null =>
                $"Unset {LibTorch.FolderVariable}, or name the torch/lib folder of a PyTorch of the version that TorchSharp wants.",
            _ => $"Build the application for this system again, or set {LibTorch.FolderVariable} to the torch/lib folder of a Python " +
                "install of PyTorch.",
        };
        return $"{reason.Message.Split('\n')[0].Trim()} {advice}".TrimEnd();
    }
}
