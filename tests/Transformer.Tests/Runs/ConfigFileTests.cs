using System.Text.Json.Nodes;
using Transformer.Configuration;
using Transformer.Runs;

namespace Transformer.Tests.Runs;

public class ConfigFileTests
{
    private const string Sound = """
        model: {width: 128, context_length: 64, layers: 4, attention: {kind: softmax, heads: 4}}
        data: {path: builtin:tinyshakespeare}
        training: {steps: 100, batch_size: 12, optimizer: {learning_rate: 1e-3, kind: adamw}}
        """;

    public static TheoryData<string> Recipes => [.. ConfigLibrary.Recipes];

    public static TheoryData<string> Presets => [.. ConfigLibrary.Presets];

    [Theory, MemberData(nameof(Recipes))]
    public void Every_recipe_comes_back_from_its_yaml_unchanged(string recipe)
    {
        var run = ConfigFile.Load(recipe, []);
        Assert.False(string.IsNullOrWhiteSpace(run.Description));
        AssertSame(run, ConfigFile.Parse(ConfigFile.ToYaml(run), "again", []));
    }

    [Theory, MemberData(nameof(Presets))]
    public void Every_preset_comes_back_from_its_json_and_yaml_unchanged(string preset)
    {
        var model = ConfigFile.Preset(preset);
        Assert.Equal(model, ConfigJson.FromJson<ModelConfig>(ConfigJson.ToJson(model), preset));
        var run = ConfigFile.Load("names", [$"model.preset={preset}"]);
        Assert.Equal(model, run.Model);
        AssertSame(run, ConfigFile.Parse(ConfigFile.ToYaml(run), "again", []));
    }

    [Fact]
    public void Text_that_looks_like_another_value_survives_the_round_trip()
    {
        foreach (var text in new[] { "true", "12", "1e3", "null", "", "a: b", "- x", "#", "é \"quoted\"\n", ".nan", " padded " })
        {
            var run = Parse(Sound) with { Description = text };
            Assert.Equal(text, ConfigFile.Parse(ConfigFile.ToYaml(run), "again", []).Description);
        }
    }

    [Fact]
    public void The_written_yaml_has_one_line_a_part_and_short_numbers()
    {
        var lines = ConfigFile.ToYaml(Parse(Sound)).Split('\n');
        Assert.Contains("  norm: {kind: rms, epsilon: 1e-5}", lines);
        Assert.Contains("  optimizer: {kind: adamw, learning_rate: 0.001, weight_decay: 0.1, beta1: 0.9, beta2: 0.95, epsilon: 1e-8, " +
            "state_precision: fp32}", lines);
        Assert.Contains("  parameters: []", lines);
    }

    [Fact]
    public void Json_is_read_as_yaml_is()
    {
        AssertSame(Parse(Sound), Parse(ConfigJson.ToJson(Parse(Sound)).ToJsonString()));
    }

    [Fact]
    public void Json_with_tabs_and_escapes_is_read()
    {
        var json = ConfigJson.ToJson(Parse(Sound)).ToJsonString(ConfigJson.Options).Replace("  ", "\t");
        Assert.Equal(
            "a/b \u00e9 \ud83d\ude00",
            Parse(json.Replace("\"description\": null", """ "description": "a\/b \u00e9 \ud83d\ude00" """)).Description);
    }

    [Fact]
    public void Numbers_follow_the_core_schema_of_yaml()
    {
        Assert.Equal(1.0e-3, Parse(Sound, "training.optimizer.learning_rate=1.0e-3").Training.Optimizer.LearningRate);
        Assert.Equal(1e-3, Parse(Sound, "training.optimizer.learning_rate=1e-3").Training.Optimizer.LearningRate);
        Assert.Equal(2, Parse(Sound, "training.optimizer.learning_rate=2").Training.Optimizer.LearningRate);
        Assert.Null(Parse(Sound, "training.gradient_clip=~").Training.GradientClip);
        Assert.Equal("12", Parse(Sound, "description='12'").Description);
        Assert.Equal(Sampling.Random, Parse(Sound, "data.sampling=random").Data.Sampling);
    }

    [Fact]
    public void A_preset_lies_under_the_keys_that_the_file_gives()
    {
        var model = Parse(Sound.Replace(
            Sound.Split('\n')[0], "model: {preset: gpt2, context_length: 512, attention: {bias: false}, norm: {kind: rms}}")).Model;
        var expected = ConfigFile.Preset("gpt2") with
        {
            ContextLength = 512,
            Attention = new SoftmaxAttentionConfig { Heads = 12 },
            Norm = new RmsNormConfig(),
        };
        Assert.Equal(expected, model);
    }

    [Fact]
    public void An_override_of_the_preset_keeps_the_keys_beside_it()
    {
        var file = Sound.Replace(Sound.Split('\n')[0], "model: {preset: gpt2, context_length: 512}");
        Assert.Equal(ConfigFile.Preset("gpt2-medium") with { ContextLength = 512 }, Parse(file, "model.preset=gpt2-medium").Model);
    }

    [Fact]
    public void Overrides_replace_values_parts_and_list_items()
    {
        var run = Parse(Sound, "model.attention.heads=8", "model.mlp={kind: gelu}", "training.parameters=[{pattern: a}, {pattern: b}]",
            "training.parameters[1].frozen=true", "training.steps=7", "training.steps=8");
        Assert.Equal(new SoftmaxAttentionConfig { Heads = 8 }, run.Model.Attention);
        Assert.Equal(new GeluMlpConfig(), run.Model.Mlp);
        Assert.Equal([new() { Pattern = "a" }, new() { Pattern = "b", Frozen = true }], run.Training.Parameters);
        Assert.Equal(8, run.Training.Steps);
    }

    private static RunConfig Parse(string text, params string[] overrides) => ConfigFile.Parse(text, "run.yaml", overrides);

    private static void AssertSame(RunConfig expected, RunConfig actual) =>
        Assert.True(JsonNode.DeepEquals(ConfigJson.ToJson(expected), ConfigJson.ToJson(actual)), ConfigFile.ToYaml(actual));
}
