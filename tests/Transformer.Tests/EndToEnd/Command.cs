using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text;
using Transformer.Distributed;

namespace Transformer.Tests.EndToEnd;

/// <summary>The built command in a process of its own, with one thread unless it says otherwise.</summary>
internal sealed partial class Command : IDisposable
{
    private const int Interrupt = 2, StopSignal = 19;
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(5);    // for a busy machine
    private static readonly string Assembly = Path.Combine(AppContext.BaseDirectory, "Transformer.Cli.dll");
    private readonly Process process;
    private readonly StringBuilder output = new(), error = new();

    private Command(Process process)
    {
        this.process = process;
        process.OutputDataReceived += (_, line) => { if (line.Data is not null) lock (output) output.Append(line.Data).Append('\n'); };
        process.ErrorDataReceived += (_, line) => { if (line.Data is not null) lock (error) error.Append(line.Data).Append('\n'); };
        process.Start();
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
    }

    public int Id => process.Id;

    /// <summary>Its child processes.</summary>
    public IEnumerable<int> Children => Directory.GetDirectories($"/proc/{process.Id}/task")
        .SelectMany(thread => File.ReadAllText(Path.Combine(thread, "children")).Split(' ', StringSplitOptions.RemoveEmptyEntries))
        .Select(int.Parse);

    public bool HasExited => process.HasExited;

    public string Output { get { lock (output) return output.ToString(); } }

    public string Error { get { lock (error) return error.ToString(); } }

    /// <summary>Starts <c>transformer ARGUMENTS</c> in a folder.</summary>
    public static Command Start(string folder, params string[] arguments) => OperatingSystem.IsLinux()
        // a shell's background job ignores SIGINT, and so would its children
        ? StartProgram(folder, "env", ["--default-signal=INT", "dotnet", Assembly, .. arguments])
        : StartProgram(folder, "dotnet", [Assembly, .. arguments]);

    /// <summary>Skips a test where there is no mpirun.</summary>
    public static void RequireMpirun()
    {
        if (!Environment.GetEnvironmentVariable("PATH")!.Split(Path.PathSeparator).Any(path => File.Exists(Path.Combine(path, "mpirun"))))
            Assert.Skip("mpirun is not installed; `apt-get install openmpi-bin` brings it");
    }

    /// <summary>
    /// Starts <c>transformer ARGUMENTS</c> as several ranks of mpirun; a colon among the arguments begins further ranks with other
    /// arguments.
    /// </summary>
    public static Command StartRanks(string folder, int ranks, params string[] arguments)
    {
        RequireMpirun();
        string[] program = ["-np", $"{ranks}", "dotnet", Assembly];
        return StartProgram(folder, "mpirun", ["--allow-run-as-root", "--oversubscribe", .. program, .. arguments.SelectMany(
            argument => argument == ":" ? [":", .. program] : new[] { argument })]);
    }

    /// <summary>Starts it in a shell, whose line finds the command as "$@".</summary>
    public static Command StartInShell(string folder, IEnumerable<string> shell, params string[] arguments) =>
        StartProgram(folder, shell.First(), [.. shell.Skip(1), "dotnet", Assembly, .. arguments]);

    /// <summary>Runs <c>transformer ARGUMENTS</c> to its end.</summary>
    public static (int Code, string Output, string Error) Run(string folder, params string[] arguments)
    {
        using var command = Start(folder, arguments);
        return command.Wait();
    }

    /// <summary>The exit code and what was written.</summary>
    public (int Code, string Output, string Error) Wait()
    {
        if (!process.WaitForExit(Patience)) throw new TimeoutException($"did not end\n{Output}\n{Error}");
        process.WaitForExit();    // for the last lines
        return (process.ExitCode, Output, Error);
    }

    /// <summary>Waits until something holds while the process runs.</summary>
    public void Until(Func<bool> holds)
    {
        var watch = Stopwatch.StartNew();
        while (!holds())
        {
            if (process.HasExited) Assert.Fail($"ended with {process.ExitCode} before what was waited for\n{Wait()}");
            if (watch.Elapsed > Patience) throw new TimeoutException(Error);
            Thread.Sleep(10);    // what a process has written can only be polled
        }
    }

    /// <summary>SIGKILL: neither the process nor its children can react.</summary>
    public void Kill()
    {
        process.Kill(entireProcessTree: true);
        process.WaitForExit();
    }

    /// <summary>SIGKILL for the process alone.</summary>
    public void KillAlone()
    {
        process.Kill();
        process.WaitForExit();
    }

    /// <summary>Waits for the end; where it does not come in time, SIGKILL for the process and its children.</summary>
    /// <returns>Whether it ended by itself.</returns>
    public bool WaitOrKill(TimeSpan time)
    {
        if (process.WaitForExit(time)) return true;
        Kill();
        return false;
    }

    /// <summary>SIGSTOP: the process exists but does nothing more.</summary>
    public static void Stop(int process) => Assert.Equal(0, Signal(process, StopSignal));

    /// <summary>SIGINT, what Ctrl-C sends.</summary>
    public void CtrlC() => Assert.Equal(0, Signal(process.Id, Interrupt));

    public void Dispose()
    {
        if (!process.HasExited) Kill();
        process.Dispose();
    }

    private static Command StartProgram(string folder, string program, IEnumerable<string> arguments) => new(new Process
    {
        StartInfo = new ProcessStartInfo(program, arguments)
        {
            WorkingDirectory = folder,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            Environment = { ["OMP_NUM_THREADS"] = "1", ["DOTNET_TieredPGO"] = "0" },
        },
    });

    [LibraryImport("libc", EntryPoint = "kill")]
    private static partial int Signal(int process, int signal);
}
