using Transformer.Configuration;
using Transformer.Runs;

namespace Transformer.Tests.Configuration;

public sealed class LinearAttentionConfigTests
{
    private const string Linear = """
        model: {width: 128, context_length: 64, layers: 4, attention: {kind: linear, heads: 4}, position: {kind: none}}
        data: {path: builtin:tinyshakespeare}
        training: {steps: 100, batch_size: 12, optimizer: {kind: adamw, learning_rate: 1e-3}}
        """;

    [Theory]
    [InlineData("model.attention={kind: linear, heads: 4, rule: gatd_delta}", "model.attention.rule: found gatd_delta, " +
        "expected one of elu, dpfp, taylor, retention, gla, scalar_gla, delta, gated_delta; did you mean gated_delta?")]
    [InlineData("model.attention.nu=2", "model.attention.nu: only rule dpfp has it")]
    [InlineData("model.attention={kind: linear, rule: dpfp, heads: 4, nu: 64}", "model.attention.nu: found 64, expected 1 to 63")]
    [InlineData(
        "model.attention={kind: linear, rule: gla, heads: 4, convolution_width: 4}",
        "model.attention.convolution_width: only the rules scalar_gla, delta and gated_delta have it")]
    [InlineData("model.attention.convolution_width=1", "model.attention.convolution_width: found 1, expected 2 to 4096, or 0 for none")]
    [InlineData(
        "model.attention={kind: linear, rule: elu, heads: 4, output_gate: true}",
        "model.attention.output_gate: the rules elu, dpfp and taylor have none")]
    [InlineData(
        "model.attention={kind: linear, rule: gla, heads: 4, negative_eigenvalues: true}",
        "model.attention.negative_eigenvalues: only the rules delta and gated_delta have it")]
    [InlineData("model.attention.value_width=0", "model.attention.value_width: found 0, expected 1 to 65536")]
    [InlineData("model.attention.chunk_length=48", "model.attention.chunk_length: found 48, expected a power of two")]
    [InlineData("model.attention.heads=7", "model.attention.heads: 7 heads do not divide width 128.")]
    [InlineData("model.attention.kv_heads=2", "model.attention.kv_heads: unknown key")]
    public void A_wrong_or_meaningless_option_is_named_by_its_path(string set, string expected)
    {
        Assert.StartsWith($"run.yaml: {expected}", Assert.Throws<InputException>(() => Parse(set)).Message);
    }

    [Theory]
    [InlineData("dpfp", "model.position: rope rotates queries and keys, but the features of rule dpfp are no vectors to rotate; " +
        "take none, learned or sinusoidal")]
    [InlineData("taylor", "model.position: rope rotates queries and keys, but the features of rule taylor are no vectors to rotate; " +
        "take none, learned or sinusoidal")]
    public void A_rotation_of_features_that_are_no_vectors_is_refused(string rule, string expected)
    {
        var message = Assert.Throws<InputException>(() => Parse("model.position={kind: rope}", $"model.attention.rule={rule}")).Message;
        Assert.Equal($"run.yaml: {expected}", message);
    }

    [Theory]
    [InlineData("none")]
    [InlineData("learned")]
    [InlineData("sinusoidal")]
    public void Every_rule_takes_positions_of_the_embedding(string position)
    {
        foreach (var rule in LinearRule.All)
            Parse($"model.attention.rule={rule}", $"model.position={{kind: {position}}}");
    }

    [Fact]
    public void A_rule_is_its_word_in_files_and_the_schema_lists_the_words()
    {
        foreach (var rule in LinearRule.All)
        {
            var json = ConfigJson.ToJson<AttentionConfig>(new LinearAttentionConfig { Heads = 4, Rule = rule });
            Assert.Equal(rule.Name, json["rule"]!.GetValue<string>());
            Assert.Equal(rule, Assert.IsType<LinearAttentionConfig>(ConfigJson.FromJson<AttentionConfig>(json, "test")).Rule);
        }
        var words = string.Join(",", LinearRule.All.Select(rule => $"\"{rule}\""));
        Assert.Contains($"\"enum\":[{words}]", ConfigSchema.Create().ToJsonString());
    }

    [Fact]
    public void In_a_hybrid_one_mixer_that_can_use_the_positions_is_enough()
    {
        const string Hybrid = "model={width: 128, context_length: 64, layers: 4, mixers: {a: {kind: linear, rule: taylor, heads: 4, " +
            "head_width: 15}, b: {kind: softmax, heads: 4}}, pattern: [a, b]}";
        var model = Parse(Hybrid).Model;
        Assert.IsType<RotaryPositionConfig>(model.Position);
        Assert.Equal([model.Mixers!["b"], model.Mixers["b"]], model.PositionedMixers);

        var onlyLinear = Hybrid.Replace("kind: softmax", "kind: linear, rule: dpfp");
        Assert.Contains("model.position: rope rotates", Assert.Throws<InputException>(() => Parse(onlyLinear)).Message);
    }

    [Fact]
    public void The_hybrid_recipe_has_three_blocks_of_gated_deltanet_to_one_of_softmax_attention()
    {
        var model = ConfigFile.Load("shakespeare-char-hybrid", []).Model;
        Assert.Equal(
            (LinearRule?[])[new GatedDeltaRule(), new GatedDeltaRule(), new GatedDeltaRule(), null],
            Enumerable.Range(0, model.Layers.Blocks).Select(layer => (model.AttentionAt(layer) as LinearAttentionConfig)?.Rule));
        Assert.IsType<SoftmaxAttentionConfig>(model.AttentionAt(3));
    }

    private static RunConfig Parse(params string[] overrides) => ConfigFile.Parse(Linear, "run.yaml", overrides);
}
