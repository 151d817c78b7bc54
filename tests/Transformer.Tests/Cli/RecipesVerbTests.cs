using System.Text.Json.Nodes;
using Transformer.Runs;

namespace Transformer.Tests.Cli;

public sealed class RecipesVerbTests
{
    [Theory]
    [InlineData("names")]
    [InlineData("gpt2")]
    public async Task A_recipe_or_a_preset_is_printed_as_it_is_written(string name) => Assert.Equal(
        name == "gpt2" ? ConfigLibrary.Preset(name) : ConfigLibrary.Recipe(name), (await CliRun.Of("recipes", name)).Output);

    [Fact]
    public async Task For_scripts_it_is_printed_with_every_key()
    {
        Assert.True(JsonNode.DeepEquals(ConfigJson.ToJson(ConfigFile.Load("names", [])), (await CliRun.Of("recipes names --json")).Json));
        Assert.Equal(12, (int)(await CliRun.Of("recipes gpt2 --json")).Json["layers"]!);
    }

    [Fact]
    public Task A_name_that_is_neither_is_refused_with_the_nearest() =>
        CliRun.Refuses("recipes nams", "recipes: found nams, expected one of captioned-scenes, copy, ");
}
