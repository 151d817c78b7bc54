using System.Diagnostics;
using System.IO.Compression;
using Transformer.Configuration;
using Transformer.Formats;
using Transformer.Tokenization;

namespace Transformer.Tests.Architecture;

/// <summary>The runtime as other projects get it: a package without native files, enough for a small trimmed program.</summary>
public sealed class RuntimePackageTests(ITestOutputHelper output) : IDisposable
{
    private const string Package = "Transformer.Runtime", Sample = "Transformer.RuntimeSample", Stories = "stories260k/";
    private const long MostBytes = 15_000_000;

    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void The_runtime_refers_to_no_assembly_with_native_files()
    {
        var references = typeof(ModelConfig).Assembly.GetReferencedAssemblies().Select(reference => reference.Name!);
        Assert.DoesNotContain(references, name => !name.StartsWith("System.", StringComparison.Ordinal));
    }

    [Fact]
    public void A_trimmed_program_that_knows_only_the_package_writes_the_story_to_the_byte()
    {
        Pack();
        AssertNoNativeFile();
        Publish();
        SaveStories();

        var program = new FileInfo(Path.Combine(folder["out"], OperatingSystem.IsWindows() ? $"{Sample}.exe" : Sample));
        var watch = Stopwatch.StartNew();
        using var process = Start(program.FullName, folder.Path, folder["model"]);
        var text = new MemoryStream();
        text.WriteByte((byte)process.StandardOutput.BaseStream.ReadByte());
        var start = watch.ElapsedMilliseconds;
        process.StandardOutput.BaseStream.CopyTo(text);
        process.WaitForExit();

        output.WriteLine($"{program.Length / 1e6:f1} MB, first text after {start} ms, the whole after {watch.ElapsedMilliseconds} ms");
        Assert.Equal(File.ReadAllBytes(Golden.PathOf($"{Stories}greedy_200_tokens.txt")), text.ToArray());
        Assert.InRange(program.Length, 1, MostBytes);
    }

    // From what the build of these tests left, so that no file of another test is written again.
    private void Pack()
    {
        var configuration = Path.GetFileName(Path.GetDirectoryName(Path.TrimEndingDirectorySeparator(AppContext.BaseDirectory))!);
        var (code, log) = Run(
            "dotnet", SourceTree.Root, "pack", Path.Combine("src", Package), "-c", configuration, "--no-build", "-o", folder["feed"],
            "-p:GenerateDocumentationFile=false");
        Assert.True(code == 0, log);
    }

    private void AssertNoNativeFile()
    {
        using var package = ZipFile.OpenRead(Directory.GetFiles(folder["feed"]).Single());
        var names = package.Entries.Select(entry => entry.FullName);
        var binaries = names.Where(name => Path.GetExtension(name) is ".dll" or ".so" or ".dylib" or ".a");
        Assert.Equal([$"lib/net10.0/{Package}.dll"], binaries);
    }

    // A package cache of its own: another version of the package under the same number must neither be taken nor be left behind.
    private void Publish()
    {
        Directory.CreateDirectory(folder["source"]);
        foreach (var file in Directory.GetFiles(Path.Combine(SourceTree.Root, "tests", Sample)))
            File.Copy(file, Path.Combine(folder["source"], Path.GetFileName(file)));
        var home = Environment.GetFolderPath(Environment.SpecialFolder.UserProfile);
        var cache = Environment.GetEnvironmentVariable("NUGET_PACKAGES") ?? Path.Combine(home, ".nuget", "packages");
        var (code, log) = Run(
            "dotnet", folder["source"], "publish", "-c", "Release", "-o", folder["out"],
            $"-p:RestoreAdditionalProjectSources={folder["feed"]}", $"-p:RestorePackagesPath={folder["packages"]}",
            $"-p:RestoreFallbackFolders={cache}");
        var unrestored = log.Split('\n').FirstOrDefault(
            line => line.Contains("error NU", StringComparison.Ordinal) && !line.Contains($" {Package}", StringComparison.Ordinal));
        if (code != 0 && unrestored is not null)
            Assert.Skip($"what a trimmed program needs cannot be restored here: {unrestored.Trim()}");
        Assert.True(code == 0, log);
    }

    private void SaveStories()
    {
        using var stories = ModelImport.Import(Golden.PathOf($"{Stories}stories260K.bin"));
        var tokenizer = LlamaTokenizer.FromLlama2C(Golden.PathOf($"{Stories}tok512.bin"));
        CheckpointFolder.Save(folder["model"], stories.Model, stories.Tensors.Values, tokenizer);
    }

    private static (int Code, string Log) Run(string program, string folder, params string[] arguments)
    {
        using var process = Start(program, folder, arguments);
        var log = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, log);
    }

    // No server of the build stays behind: it would hold the pipes open.
    private static Process Start(string program, string folder, params string[] arguments)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            WorkingDirectory = folder,
            RedirectStandardOutput = true,
            Environment = { ["DOTNET_CLI_UI_LANGUAGE"] = "en", ["MSBUILDDISABLENODEREUSE"] = "1", ["UseSharedCompilation"] = "false" },
        };
        return Process.Start(start)!;
    }
}
