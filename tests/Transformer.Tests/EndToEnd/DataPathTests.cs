using Transformer.Configuration;
using Transformer.Runs;

namespace Transformer.Tests.EndToEnd;

/// <summary>From where the paths of a configuration count.</summary>
public sealed class DataPathTests : IDisposable
{
    private readonly Workplace here = new();

    public DataPathTests()
    {
        Directory.CreateDirectory(here["recipes"]);
        here.Write("recipes/tiny.yaml", File.ReadAllText(here["tiny.yaml"]).Replace("corpus.txt", "../corpus.txt"));
    }

    public void Dispose() => here.Dispose();

    [Fact]
    public async Task Paths_of_a_file_count_from_its_folder_and_a_run_holds_them_absolute()
    {
        // The working directory is that of the tests.
        var (code, _, error) = await Workplace.Request(
            "train", here["recipes/tiny.yaml"], "--out", here["run"], "--set", "training.steps=1");

        Assert.True(code == 0, error);
        Assert.Contains($"path: {here["corpus.txt"]}\n", File.ReadAllText(here["run/config.yaml"]));
        Assert.Equal(0, (await Workplace.Request("train", "--resume", here["run"])).Code);
        Assert.Equal(0, (await Workplace.Request("evaluate", here["run"])).Code);
    }

    [Fact]
    public void Paths_of_the_command_line_count_from_the_working_directory()
    {
        File.Move(here["corpus.txt"], here["recipes/text.txt"]);
        var (code, _, error) = Command.Run(
            here.Folder, "train", "recipes/tiny.yaml", "--set", "data.path=recipes/text.txt", "--set", "training.steps=1", "--out", "run");

        Assert.True(code == 0, error);
        Assert.Contains("data: recipes/text.txt, ", error);
        Assert.Contains($"path: {here["recipes/text.txt"]}\n", File.ReadAllText(here["run/config.yaml"]));
    }

    [Fact]
    public void Every_path_of_a_file_counts_from_its_folder()
    {
        here.Write("recipes/paths.yaml", """
            model: {width: 16, context_length: 16, layers: 1, attention: {kind: softmax, heads: 2}}
            data: {path: a.txt, validation_path: /b.txt, tokenizer: {kind: bpe, vocabulary: c.json, merges: ../d.txt}}
            training: {steps: 1, batch_size: 1, init_from: e, optimizer: {kind: adamw, learning_rate: 1}}
            """);

        var run = ConfigFile.Load(here["recipes/paths.yaml"], []);

        Assert.Equal(
            (here["recipes/a.txt"], "/b.txt", here["recipes/e"]), (run.Data.Path, run.Data.ValidationPath, run.Training.InitFrom));
        Assert.Equal(
            new BpeTokenizerConfig { Vocabulary = here["recipes/c.json"], Merges = here["d.txt"] }, run.Data.Tokenizer);
        var other = ConfigFile.Load(here["recipes/paths.yaml"], ["data.path=x.txt", "data.tokenizer={kind: file, path: t.json}"]).Data;
        Assert.Equal(("x.txt", new FileTokenizerConfig { Path = "t.json" }), (other.Path, other.Tokenizer));
        Assert.Equal("builtin:names", ConfigFile.Load(here["recipes/paths.yaml"], ["data.path=builtin:names"]).Data.Path);
    }
}
