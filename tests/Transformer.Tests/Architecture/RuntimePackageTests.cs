using System.Diagnostics;
using System.IO.Compression;
using Transformer.Configuration;
using Transformer.Formats;
using Transformer.Tests.EndToEnd;
using Transformer.Tokenization;

namespace Transformer.Tests.Architecture;

/// <summary>The runtime as other projects get it: a package without native files, enough for a small trimmed program.</summary>
public sealed class RuntimePackageTests(ITestOutputHelper output) : IDisposable
{
    private const string Package = "Transformer.Runtime", Sample = "Transformer.RuntimeSample", Stories = "stories260k/";
    private const long MostBytes = 15_000_000;

    private readonly PackageFeed feed = new();

    public void Dispose() => feed.Dispose();

    [Fact]
    public void The_runtime_refers_to_no_assembly_with_native_files()
    {
        var references = typeof(ModelConfig).Assembly.GetReferencedAssemblies().Select(reference => reference.Name!);
        Assert.DoesNotContain(references, name => !name.StartsWith("System.", StringComparison.Ordinal));
    }

    [Fact]
    public void A_trimmed_program_that_knows_only_the_package_writes_the_story_to_the_byte()
    {
        AssertNoNativeFile(feed.Pack(Package));
        feed.Make("publish", Sample, to: "out");
        SaveStories();

        var program = new FileInfo(Path.Combine(feed["out"], OperatingSystem.IsWindows() ? $"{Sample}.exe" : Sample));
        var watch = Stopwatch.StartNew();
        using var process = Process.Start(new ProcessStartInfo(program.FullName, [feed["model"]]) { RedirectStandardOutput = true })!;
        var text = new MemoryStream();
        text.WriteByte((byte)process.StandardOutput.BaseStream.ReadByte());
        var start = watch.ElapsedMilliseconds;
        process.StandardOutput.BaseStream.CopyTo(text);
        process.WaitForExit();

        output.WriteLine($"{program.Length / 1e6:f1} MB, first text after {start} ms, the whole after {watch.ElapsedMilliseconds} ms");
        Assert.Equal(File.ReadAllBytes(Golden.PathOf($"{Stories}greedy_200_tokens.txt")), text.ToArray());
        Assert.InRange(program.Length, 1, MostBytes);
    }

    private static void AssertNoNativeFile(string path)
    {
        using var package = ZipFile.OpenRead(path);
        var names = package.Entries.Select(entry => entry.FullName);
        var binaries = names.Where(name => Path.GetExtension(name) is ".dll" or ".so" or ".dylib" or ".a");
        Assert.Equal([$"lib/net10.0/{Package}.dll"], binaries);
    }

    private void SaveStories()
    {
        using var stories = ModelImport.Import(Golden.PathOf($"{Stories}stories260K.bin"));
        var tokenizer = LlamaTokenizer.FromLlama2C(Golden.PathOf($"{Stories}tok512.bin"));
        CheckpointFolder.Save(feed["model"], stories.Model, stories.Tensors.Values, tokenizer);
    }
}
