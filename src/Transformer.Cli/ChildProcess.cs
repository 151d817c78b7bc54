using System.ComponentModel;
using System.Diagnostics;
using System.Reflection;
using System.Text;
using Transformer.Configuration;

namespace Transformer.Cli;

/// <summary>What a process of this program has left.</summary>
/// <param name="Code">Its exit code.</param>
/// <param name="Output">What it wrote to standard output.</param>
/// <param name="Error">What it wrote to standard error.</param>
internal sealed record ChildProcess(int Code, string Output, string Error)
{
    /// <summary>
    /// Runs a command of this program in a process of its own. The verb must know <c>--stop-with-input</c>: the process saves and ends
    /// when this one is cancelled or gone, however it ends.
    /// </summary>
    /// <param name="words">What follows the program's name.</param>
    /// <param name="launcher">The words that start the program, such as mpirun -np 2; none for the program itself.</param>
    /// <param name="cancellation">Asks the process to save and end; its exit code is awaited.</param>
    /// <param name="hear">Told every line that it writes to standard error, as it does.</param>
    /// <exception cref="InputException">The launcher cannot be started.</exception>
    public static async Task<ChildProcess> RunAsync(
        IReadOnlyList<string> words, IReadOnlyList<string> launcher, CancellationToken cancellation, Action<string>? hear = null)
    {
        string[] command = [.. launcher, .. Program(), .. words, SharedOptions.StopWithInput.Name];
        var start = new ProcessStartInfo(command[0], command[1..])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using var process = Start(start);
        var (output, error) = (process.StandardOutput.ReadToEndAsync(CancellationToken.None), LinesOf(process.StandardError, hear));
        await using (cancellation.Register(process.StandardInput.Close))
            await process.WaitForExitAsync(CancellationToken.None).ConfigureAwait(false);
        return new(process.ExitCode, await output.ConfigureAwait(false), await error.ConfigureAwait(false));
    }

    private static async Task<string> LinesOf(StreamReader reader, Action<string>? hear)
    {
        var text = new StringBuilder();
        while (await reader.ReadLineAsync(CancellationToken.None).ConfigureAwait(false) is { } line)
        {
            text.AppendLine(line);
            hear?.Invoke(line);
        }
        return text.ToString();
    }

    private static Process Start(ProcessStartInfo start)
    {
        try
        {
            return Process.Start(start)!;
        }
        catch (Win32Exception failure)
        {
            throw new InputException($"{start.FileName}: cannot be started ({failure.Message}).", failure);
        }
    }

    // The program's own file, unless another one, such as dotnet, runs its assembly.
    private static string[] Program()
    {
        var assembly = typeof(ChildProcess).Assembly;
        var process = Environment.ProcessPath ?? "dotnet";
        if (Path.GetFileNameWithoutExtension(process) == "dotnet") return [process, assembly.Location];
        return Assembly.GetEntryAssembly() == assembly ? [process] : ["dotnet", assembly.Location];
    }
}
