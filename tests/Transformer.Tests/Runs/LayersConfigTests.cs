using System.Text.Json.Nodes;
using Transformer.Configuration;
using Transformer.Runs;

namespace Transformer.Tests.Runs;

/// <summary>The layers of a model as a number and as a list that nests.</summary>
public sealed class LayersConfigTests
{
    private const string Sound = """
        model: {width: 128, context_length: 64, layers: 4, vocabulary_size: 50, attention: {kind: softmax, heads: 4}}
        data: {path: builtin:tinyshakespeare}
        training: {steps: 100, batch_size: 12, optimizer: {kind: adamw, learning_rate: 1e-3}}
        """;

    private const string Nested =
        "[2, {shorten: 3, layers: [1, {shorten: 2, layers: 4, pooling: {kind: linear}, upsampling: {kind: attention, heads: 8}}, 1]}, 2]";

    public static TheoryData<string, int> Layers => new()
    {
        { "4", 4 },
        { "0", 0 },
        { "[1, 1]", 2 },
        { Nested, 10 },
        { "[{shorten: 1, layers: 1}]", 1 },
        { "[1, {boundaries: {kind: white_space}, layers: 2}]", 3 },
        { "[1, {boundaries: {kind: white_space, tokens: [3, 1, 4]}, layers: 2}]", 3 },
        { "[{boundaries: {kind: learned, rate: 0.1, temperature: 1, hidden: 9}, layers: 2}, 1]", 3 },
        { "[1, {boundaries: {kind: entropy, spikes_left: 3}, layers: [{shorten: 2, layers: 1}]}]", 2 },
    };

    [Theory, MemberData(nameof(Layers))]
    public void Come_back_from_yaml_and_json_unchanged(string layers, int blocks)
    {
        var run = Parse($"model.layers={layers}");
        Assert.Equal(blocks, run.Model.Layers.Blocks);
        Same(run, ConfigFile.Parse(ConfigFile.ToYaml(run), "again", []));
        Same(run, ConfigFile.Parse(ConfigJson.ToJson(run).ToJsonString(), "again", []));

        static void Same(RunConfig expected, RunConfig found) =>
            Assert.True(JsonNode.DeepEquals(ConfigJson.ToJson(expected), ConfigJson.ToJson(found)));
    }

    [Fact]
    public void A_number_of_blocks_stays_a_number()
    {
        Assert.Equal("4", ConfigJson.ToJson(Parse())["model"]!["layers"]!.ToJsonString());
        Assert.Contains("  layers: 4", ConfigFile.ToYaml(Parse()).Split('\n'));
        Assert.Equal("7", ConfigJson.ToJson(Parse("model.layers=[7]"))["model"]!["layers"]!.ToJsonString());
    }

    [Fact]
    public void A_list_is_equal_to_another_with_the_same_layers()
    {
        Assert.Equal(Parse($"model.layers={Nested}").Model.Layers, Parse($"model.layers={Nested}").Model.Layers);
        Assert.NotEqual(Parse($"model.layers={Nested}").Model.Layers, Parse($"model.layers={Nested.Replace("4", "5")}").Model.Layers);
        Assert.Equal(Parse("model.layers=[4]").Model.Layers, Parse().Model.Layers);
    }

    [Theory]
    [InlineData("[]", "model.layers: found an empty list, expected a number of blocks, or a list of numbers and hourglasses")]
    [InlineData("{}", "model.layers: found keys and values, expected a number of blocks, or a list of numbers and hourglasses")]
    [InlineData("-1", "model.layers: found -1, expected 0 to 100000")]
    [InlineData("[1, -1]", "model.layers[1]: found -1, expected 1 or more blocks")]
    [InlineData("[1, 0]", "model.layers[1]: found 0, expected 1 or more blocks")]
    [InlineData("[1, x]", "model.layers[1]: found the text \"x\", expected ")]
    [InlineData("[1, [2]]", "model.layers[1]: found a list, expected ")]
    [InlineData("[2, {shorten: 0, layers: 1}]", "model.layers[1].shorten: found 0, expected 1 to 65536")]
    [InlineData("[2, {shorten: 2, layers: 0}]", "model.layers[1].layers: found 0, expected 1 or more")]
    [InlineData("[2, {shorten: 2, layers: -1}]", "model.layers[1].layers: found -1, expected 1 or more")]
    [InlineData("[{shorten: 2, layers: -3}]", "model.layers[0].layers: found -3, expected 1 or more")]
    [InlineData("[1, {shorten: 2, layers: [{shorten: 2, layers: 0}]}]", "model.layers[1].layers[0].layers: found 0, expected 1 or more")]
    [InlineData("[1, -5]", "model.layers[1]: found -5, expected 1 or more blocks")]
    [InlineData("[60000, 60000]", "model.layers: found [60000, 60000], expected 0 to 100000 blocks")]
    [InlineData("[2, {shorten: 2, layers: []}]", "model.layers[1].layers: found an empty list, expected ")]
    [InlineData("[2, {shorten: 2, layers: [1, -1]}]", "model.layers[1].layers[1]: found -1, expected 1 or more blocks")]
    [InlineData("[2, {shorten: 2}]", "model.layers[1].layers: missing; expected ")]
    [InlineData("[2, {layers: 1}]", "model.layers[1].shorten: missing; expected shorten, or boundaries")]
    [InlineData(
        "[2, {shorten: 2, boundaries: {kind: learned}, layers: 1}]",
        "model.layers[1].shorten: found beside boundaries; give one of the two")]
    [InlineData(
        "[2, {shorten: 2, layers: 1, pooling: {kind: attention, heads: 3}}]",
        "model.layers[1].pooling.heads: found 3, expected a divisor of width 128")]
    [InlineData(
        "[2, {shorten: 2, layers: [1, {shorten: 2, layers: 1, upsampling: {kind: attention, heads: 0}}]}]",
        "model.layers[1].layers[1].upsampling.heads: found 0, expected a divisor of width 128")]
    [InlineData(
        "[2, {shorten: 2, layers: 1, pooling: {kind: attention, heads: 4, initial: {kind: attention, heads: 4}}}]",
        "model.layers[1].pooling.initial.kind: found attention, expected average or linear")]
    [InlineData(
        "[2, {boundaries: {kind: learned}, layers: 1, pooling: {kind: linear}}]",
        "model.layers[1].pooling.kind: groups that end at boundaries differ in length, which linear cannot pool; take average")]
    [InlineData(
        "[2, {boundaries: {kind: learned}, layers: 1, upsampling: {kind: linear}}]",
        "model.layers[1].upsampling.kind: groups that end at boundaries differ in length, which linear cannot make longer; take repeat")]
    [InlineData(
        "[1, {boundaries: {kind: learned}, layers: [1, {boundaries: {kind: white_space}, layers: 1}]}]",
        "model.layers[1].layers[1].boundaries.kind: white_space is told by tokens, and in an hourglass there are groups of them")]
    [InlineData(
        "[1, {shorten: 2, layers: [1, {boundaries: {kind: white_space}, layers: 1}]}]",
        "model.layers[1].layers[1].boundaries.kind: white_space is told by tokens, and in an hourglass there are groups of them")]
    [InlineData(
        "[1, {shorten: 2, layers: [{shorten: 2, layers: [1, {boundaries: {kind: entropy}, layers: 1}]}]}]",
        "model.layers[1].layers[0].layers[1].boundaries.kind: entropy is told by tokens, and in an hourglass there are groups of them")]
    [InlineData("[1, {boundaries: {kind: learned, rate: 1}, layers: 1}]", "model.layers[1].boundaries.rate: found 1, expected more than 0")]
    [InlineData("[1, {boundaries: {kind: learned, temperature: 0}, layers: 1}]", "model.layers[1].boundaries.temperature: found 0, ")]
    [InlineData("[1, {boundaries: {kind: learned, hidden: 0}, layers: 1}]", "model.layers[1].boundaries.hidden: found 0, expected 1 to ")]
    [InlineData("[1, {boundaries: {kind: entropy, spikes_left: 0}, layers: 1}]", "model.layers[1].boundaries.spikes_left: found 0, ")]
    [InlineData("[1, {boundaries: {kind: white_space, tokens: [-1]}, layers: 1}]", "model.layers[1].boundaries.tokens: found an id below ")]
    [InlineData("[1, {boundaries: {kind: white_space, tokens: [50]}, layers: 1}]", "model.layers[1].boundaries.tokens: found an id of 50 ")]
    [InlineData("[1, {boundaries: {kind: words}, layers: 1}]", "model.layers[1].boundaries.kind: found words, expected one of learned, ")]
    [InlineData("[1, {shorten: 2, layer: 1}]", "model.layers[1].layer: unknown key; did you mean model.layers[1].layers?")]
    [InlineData("[1, {shorten: 2, layers: 1, colour: red}]", "model.layers[1].colour: unknown key; expected one of shorten, boundaries, ")]
    public void One_message_names_what_is_wrong_by_its_path(string layers, string expected) =>
        Refused(expected, $"model.layers={layers}");

    [Theory]
    [InlineData(
        "model.attention={kind: transformer_xl, heads: 4, memory_length: 8}", "contiguous",
        "model.layers: a mixer that remembers the segment before stands in an hourglass")]
    [InlineData(
        "model.memory={kind: associative, tokens: 2}", "random",
        "model.memory.kind: associative memory is written by the tokens behind a segment, and in an hourglass there are groups of them")]
    [InlineData(
        "model.attention={kind: softmax, heads: 4, value_residual: true}", "random",
        "model.attention.value_residual: found outside and inside of an hourglass")]
    public void What_cannot_stand_in_an_hourglass_is_refused(string set, string sampling, string expected) => Refused(
        expected, "model.layers=[1, {shorten: 2, layers: 2}, 1]", "model.position={kind: none}", $"data.sampling={sampling}", set);

    [Fact]
    public void Dynamic_ntk_is_refused_where_boundaries_end_groups() => Refused(
        "model.layers[1].boundaries: dynamic_ntk rotates by the length of a text",
        "model.layers=[1, {boundaries: {kind: learned}, layers: 1}]",
        "model.position={kind: rope, scaling: {kind: dynamic_ntk, factor: 2, original_length: 64}}");

    [Theory]
    [InlineData("model.pattern: missing; expected a list of a", "model.attention=null", "model.mixers={a: {kind: softmax, heads: 4}}")]
    [InlineData(
        "model.pattern: missing; expected a list of a", "model.attention=null", "model.mixers={a: {kind: softmax, heads: 4}}",
        "model.pattern=[]")]
    [InlineData("model.pattern: found b", "model.attention=null", "model.mixers={a: {kind: softmax, heads: 4}}", "model.pattern=[b]")]
    [InlineData("model.attention: missing; expected attention for all blocks", "model.attention=null")]
    public void What_is_missing_is_named_before_blocks_are_looked_at(string expected, params string[] overrides)
    {
        var refused = Assert.Throws<InputException>(() => Parse(["model.layers=[1, {shorten: 2, layers: 2}, 1]", .. overrides]));
        Assert.Contains(expected, refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Entropy_is_refused_where_texts_are_read_in_segments() => Refused(
        "model.layers[1].boundaries.kind: entropy boundaries are taught by whole texts, and this model reads segments; take learned",
        "model.layers=[1, {boundaries: {kind: entropy}, layers: 1}]", "model.memory={kind: recurrent, tokens: 2}");

    [Fact]
    public void An_hourglass_without_layers_is_refused()
    {
        var problem = Assert.Single(new HourglassConfig { Shorten = 2, Layers = [] }.Problems());
        Assert.StartsWith("layers: found [], expected 1 or more", problem.ToString());
    }

    [Fact]
    public void More_hourglasses_in_each_other_than_any_model_has_are_refused()
    {
        var layers = Enumerable.Range(0, 17).Aggregate("1", (inner, _) => $"[{{shorten: 2, layers: {inner}}}]");
        Assert.Contains(
            "more than 16 hourglasses in each other", Assert.Throws<InputException>(() => Parse($"model.layers={layers}")).Message);
    }

    private static void Refused(string expected, params string[] overrides) =>
        Assert.StartsWith($"run.yaml: {expected}", Assert.Throws<InputException>(() => Parse(overrides)).Message);

    private static RunConfig Parse(params string[] overrides) => ConfigFile.Parse(Sound, "run.yaml", overrides);
}
