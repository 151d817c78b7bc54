using System.Diagnostics;
using Transformer.Cli;
using Transformer.Native;

namespace Transformer.Tests.Cli;

public class DoctorVerbTests
{
    private static readonly SystemFacts Sound = new(
        "Linux", ".NET", Cores: 4, FreeMemoryBytes: 1L << 34, FreeDiskBytes: 1L << 36, Mpi: null, HasGraphicsDriver: false);
    private static readonly LibTorchFacts Loaded = new("0.107.0", "as it is", null, Threads: 4, 1e11, 1e10, GraphicsProcessors: 0);

    [Fact]
    public async Task The_doctor_trains_a_step_and_measures_the_machine()
    {
        var run = await CliRun.Of("doctor", "--json");
        Assert.Equal(CommandLine.Done, run.Code);
        Assert.True((bool)run.Json["can_train"]!);
        Assert.True((double)run.Json["libtorch"]!["matrix_flops_per_second"]! > 1e8);
        Assert.True((double)run.Json["libtorch"]!["memory_bytes_per_second"]! > 1e8);
    }

    [Fact]
    public void What_is_wrong_comes_with_what_to_do()
    {
        Assert.Empty(Loaded.Problems(Sound));
        Assert.Contains("OMP_NUM_THREADS=4", Assert.Single((Loaded with { Threads = 8 }).Problems(Sound)));
        Assert.Contains("1 of 4 cores", Assert.Single((Loaded with { Threads = 1 }).Problems(Sound)));
        Assert.Contains(LibTorch.FolderVariable, Assert.Single(Loaded.Problems(Sound with { HasGraphicsDriver = true })));
        Assert.Empty((Sound with { OtherCores = 0.3 }).Problems());
        Assert.Contains("Other processes use 1.5 of 4 cores", Assert.Single((Sound with { OtherCores = 1.5 }).Problems()));
        Assert.Contains("train with --threads 2.", Assert.Single((Sound with { OtherCores = 1.5 }).Problems()));
        Assert.Contains((Sound with { FreeDiskBytes = 1 << 20 }).Problems(), problem => problem.StartsWith("Only 1 MiB of disk"));
        Assert.Contains((Sound with { FreeMemoryBytes = 1 << 20 }).Problems(), problem => problem.StartsWith("Only 1 MiB of memory"));
    }

    // In processes of their own: libtorch is loaded once in a process.
    [Fact]
    public void Without_libtorch_the_doctor_explains_and_other_verbs_say_one_line()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "elsewhere TorchSharp finds libtorch by itself");
        var (code, output, _) = Run("/nowhere", "doctor");
        Assert.Equal(CommandLine.Failed, code);
        Assert.Contains("cores", output);
        Assert.Contains("Nothing can be trained here: TRANSFORMER_LIBTORCH=/nowhere: no libtorch_cpu.so there.", output);

        (code, output, var error) = Run("/nowhere", "train", "names", "--dry-run");
        Assert.Equal((CommandLine.Refused, ""), (code, output));
        Assert.StartsWith("TRANSFORMER_LIBTORCH=/nowhere", Assert.Single(error.TrimEnd().Split('\n')));
    }

    // Two would crash the process with an error of libtorch's own.
    [Fact]
    public void Another_libtorch_takes_the_place_of_the_applications_own()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "elsewhere TorchSharp finds libtorch by itself");
        LibTorch.Load();
        var other = Directory.CreateTempSubdirectory("transformer-tests-");
        try
        {
            foreach (var library in Directory.EnumerateFiles(LibTorch.Folder!, "lib*.so*")
                .Where(path => Path.GetFileName(path) != "libLibTorchSharp.so"))
                File.Copy(library, Path.Combine(other.FullName, Path.GetFileName(library)));
            var (code, output, error) = Run(other.FullName, "doctor");
            Assert.True(code == CommandLine.Done, error);
            Assert.Contains(other.FullName, output);
        }
        finally
        {
            other.Delete(recursive: true);
        }
    }

    private static (int Code, string Output, string Error) Run(string libtorch, params string[] arguments)
    {
        var start = new ProcessStartInfo("dotnet", [typeof(CommandLine).Assembly.Location, .. arguments])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            Environment = { [LibTorch.FolderVariable] = libtorch },
        };
        using var process = Process.Start(start)!;
        var error = process.StandardError.ReadToEndAsync();
        var output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, output, error.GetAwaiter().GetResult());
    }
}
