using Transformer.Cli;

namespace Transformer.Tests.Cli;

/// <summary>What is neither a recipe nor a configuration is refused with the command that takes it.</summary>
public sealed class TrainingSourceTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public TrainingSourceTests()
    {
        folder.Write("a text.txt", "model of a text: it has no keys\n");
        folder.Write("empty.yaml", "");
        folder.Write("model.gguf", "GGUF");
        foreach (var (name, file) in new[]
        {
            ("run", "config.yaml"), ("weights", "config.json"), ("texts", "a.txt"), ("tokens", "corpus.json"), ("pictures", "a.png"),
        })
        {
            Directory.CreateDirectory(folder[name]);
            File.WriteAllText(folder[$"{name}/{file}"], name == "pictures" ? "\0" : "{}");
        }
    }

    public void Dispose() => folder.Dispose();

    [Theory]
    [InlineData("a text.txt", "looks like a text", "transformer train --set 'data.path=HERE/a text.txt'")]
    [InlineData("a text.txt", "looks like a text", "transformer init 'HERE/a text.txt'")]
    [InlineData("empty.yaml", "found no keys, expected model, data and training, as in ", "transformer recipes names")]
    [InlineData("model.gguf", "weights, expected a recipe", "transformer import HERE/model.gguf --out imported")]
    [InlineData("run", "a run's folder", "transformer train --resume HERE/run")]
    [InlineData("run", "a run's folder", "transformer train HERE/run/config.yaml")]
    [InlineData("weights", "a folder of weights", "transformer train --init-from HERE/weights")]
    [InlineData("texts", "a folder with texts", "cat HERE/texts/*.txt > all.txt && transformer train --set data.path=all.txt")]
    [InlineData("tokens", "a folder of token files", "transformer train --set data.path=HERE/tokens")]
    [InlineData("pictures", "a folder, expected a recipe or a file", "The recipes are captioned-scenes, copy, ")]
    public async Task What_is_no_recipe_is_told_by_what_it_is(string name, string what, string command)
    {
        var run = await CliRun.Of("train", folder[name]);
        Assert.Equal((CommandLine.Refused, ""), (run.Code, run.Output));
        Assert.StartsWith($"{folder[name]}: {what}", run.Error);
        Assert.Contains(command.Replace("HERE", folder.Path), run.Error);
        Assert.InRange(run.Error.TrimEnd().Split('\n').Length, 1, 3);
    }

    [Fact]
    public async Task Commands_are_those_of_the_verb_that_was_given()
    {
        var file = folder.Write("text", "once upon a time");
        Assert.Contains($"transformer config show --set data.path={file}\n", (await CliRun.Of("config", "show", file)).Error);
        Assert.Contains($"transformer config show {folder["run"]}/config.yaml", (await CliRun.Of("config", "show", folder["run"])).Error);
        Assert.Contains($"transformer bench train --set data.path={file}\n", (await CliRun.Of("bench", "train", file)).Error);
    }

    [Fact]
    public async Task A_configuration_may_have_any_name()
    {
        var file = folder.Write("mine", $"# a comment\n{(await CliRun.Of("recipes", "names")).Output}");
        Assert.Equal(CommandLine.Done, (await CliRun.Of("config", "show", file)).Code);
    }
}
