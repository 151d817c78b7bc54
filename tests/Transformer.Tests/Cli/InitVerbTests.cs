using Transformer.Cli;
using Transformer.Data;
using Transformer.Runs;
using Transformer.Tests.EndToEnd;

namespace Transformer.Tests.Cli;

/// <summary>The configuration that <c>init</c> writes.</summary>
public sealed class InitVerbTests : IDisposable
{
    private readonly Workplace here = new();

    public void Dispose() => here.Dispose();

    [Fact]
    public void The_file_trains_as_it_is_and_is_never_overwritten()
    {
        Directory.CreateDirectory(here["texts"]);
        File.Move(here["corpus.txt"], here["texts/my corpus.txt"]);

        var (code, output, error) = Command.Run(here.Folder, "init", "texts/my corpus.txt");
        Assert.Equal((0, ""), (code, output));
        Assert.Contains(" train 'my corpus.yaml'", error);
        (code, _, error) = Command.Run(
            here.Folder, "train", "my corpus.yaml", "--set", "training.steps=2", "--set", "training.schedule.warmup_steps=1",
            "--out", "run");
        Assert.True(code == 0, error);
        Assert.DoesNotContain("warning", error);
        Assert.Equal(2, here.Steps("run"));

        var written = File.ReadAllText(here["my corpus.yaml"]);
        (code, _, error) = Command.Run(here.Folder, "init", "texts/my corpus.txt");
        Assert.Equal((2, "my corpus.yaml: already exists and is not overwritten. Name another file with --out.\n"), (code, error));
        Assert.Equal(written, File.ReadAllText(here["my corpus.yaml"]));
    }

    [Fact]
    public async Task Every_key_in_a_comment_is_one()
    {
        var lines = await Written("builtin:names");
        var keys = lines.Where(line => line.StartsWith("  # ", StringComparison.Ordinal)).ToList();
        Assert.NotEmpty(keys);
        var part = "";
        var sets = new List<string>();
        foreach (var line in lines)
        {
            if (line is [>= 'a' and <= 'z', ..]) part = line.Trim().TrimEnd(':');
            if (line.StartsWith("  # ", StringComparison.Ordinal)) sets.Add($"{part}.{line[4..].Replace(": ", "=").Split("  ")[0]}");
        }
        Assert.Equal(keys.Count, sets.Count);
        ConfigFile.Load(here["new.yaml"], sets);
    }

    [Theory]
    [InlineData(100, "a", 8, "character", 200)]
    [InlineData(10_000, "a", 128, "character", 200)]
    [InlineData(100_000, "a", 128, "character", 1300)]
    [InlineData(1_000_000, "a", 128, "character", 2000)]
    [InlineData(300, "\U0001F600", 16, "character", 200)]
    [InlineData(100_000, "", 128, "byte", 2000)]
    public async Task Tokenizer_context_and_steps_follow_from_the_text(int length, string unit, int context, string tokenizer, int steps)
    {
        here.Write("text.txt", string.Concat(
            Enumerable.Range(0, length).Select(i => unit.Length > 0 ? unit : $"{(char)(0x4e00 + i % 300)}")));

        await Written(here["text.txt"]);

        var run = ConfigFile.Load(here["new.yaml"], []);
        Assert.Equal((context, steps, here["text.txt"]), (run.Model.ContextLength, run.Training.Steps, run.Data.Path));
        Assert.Equal(tokenizer, ConfigJson.ToJson(run.Data)["tokenizer"]!["kind"]!.GetValue<string>());
        Assert.Null(run.Training.Schedule.WarningFor(run.Training.Steps));
        using var data = Dataset.Open(run.Data);
        data.RequireContext(run);
    }

    [Fact]
    public async Task A_text_that_is_too_short_is_refused_and_leaves_nothing()
    {
        here.Write("short.txt", "too short");
        await CliRun.Refuses($"init {here["short.txt"]} --out {here["new.yaml"]}", "9 tokens are too few to train on and to validate");
        await CliRun.Refuses($"init {here["none.txt"]} --out {here["new.yaml"]}", "none.txt: no such file");
        Assert.False(File.Exists(here["new.yaml"]));
    }

    private async Task<string[]> Written(string text)
    {
        var run = await CliRun.Of("init", text, "--out", here["new.yaml"]);
        Assert.True(run.Code == CommandLine.Done, run.Error);
        return File.ReadAllLines(here["new.yaml"]);
    }
}
