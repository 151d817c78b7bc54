using Transformer.Configuration;
using Transformer.Runs;

namespace Transformer.Tests.Configuration;

public sealed class LatentAttentionConfigTests
{
    private const string Rest = """
        model: {width: 128, context_length: 64, layers: 4, vocabulary_size: 65, attention: {kind: latent, heads: 4, kv_rank: 64}}
        data: {path: a.txt}
        training: {steps: 1, batch_size: 1, optimizer: {kind: adamw, learning_rate: 1.0e-3}}
        """;

    private const string None = "model.attention=null", OneEach = "model.pattern=[a, b]";

    [Theory]
    [InlineData("model.attention.kv_rank: found 0, expected 1 to 65536", "model.attention.kv_rank=0")]
    [InlineData("model.attention.query_rank: found 0, expected 1 to 65536", "model.attention.query_rank=0")]
    [InlineData("model.attention.value_width: found 0, expected 1 to 65536", "model.attention.value_width=0")]
    [InlineData("model.attention.rope_width: found -2, expected 0 to 65536", "model.attention.rope_width=-2")]
    [InlineData("model.attention.rope_width: rotary positions rotate pairs", "model.attention.rope_width=5")]
    [InlineData("model.attention.rope_width: missing; half of head_width 1 is none", "model.attention.head_width=1")]
    [InlineData("model.attention.kv_rank: missing", "model.attention={kind: latent, heads: 4}")]
    [InlineData("model.position: rope rotates rope_width components of a query, which are none here", "model.attention.rope_width=0")]
    [InlineData("model.attention.rope_width: position {kind: none} rotates nothing; set rope_width to 0", "model.position={kind: none}")]
    [InlineData("model.attention.rope_width: position {kind: learned} rotates nothing", "model.position={kind: learned}")]
    [InlineData("model.position: latent attention adds nothing to its scores", "model.position={kind: alibi}")]
    [InlineData("model.position: latent attention adds nothing to its scores", "model.position={kind: t5}")]
    [InlineData("model.position: latent attention adds nothing to its scores", "model.position={kind: relative, maximum: 8}")]
    [InlineData(
        "model.attention.kind: dynamic_ntk rotates all keys of the cache anew",
        "model.position={kind: rope, scaling: {kind: dynamic_ntk, factor: 2, original_length: 32}}")]
    [InlineData(
        "model.mixers: heads of different widths; rotary positions are made for one, so give all mixers the same rope_width and head_width",
        None, "model.mixers={a: {kind: latent, heads: 4, kv_rank: 64}, b: {kind: softmax, heads: 4}}", OneEach)]
    public void What_does_not_fit_is_refused_by_name(string problem, params string[] sets) =>
        Assert.Contains(problem, Assert.Throws<InputException>(() => ConfigFile.Parse(Rest, "test", sets)).Message);

    [Theory]
    [InlineData("model.attention.rope_width=32")]
    [InlineData("model.position={kind: learned}", "model.attention.rope_width=0")]
    [InlineData("model.position={kind: none}", "model.attention.rope_width=0")]
    [InlineData(None, "model.mixers={a: {kind: latent, heads: 4, kv_rank: 64, rope_width: 32}, b: {kind: softmax, heads: 4}}", OneEach)]
    [InlineData(None, "model.mixers={a: {kind: latent, heads: 4, kv_rank: 64, rope_width: 0}, b: {kind: softmax, heads: 4}}", OneEach)]
    [InlineData(
        "model.position={kind: alibi}", None,
        "model.mixers={a: {kind: latent, heads: 4, kv_rank: 64, rope_width: 0}, b: {kind: softmax, heads: 4}}", OneEach)]
    public void Positions_that_it_can_use_or_that_another_mixer_can_are_taken(params string[] sets) =>
        Assert.Equal(128, ConfigFile.Parse(Rest, "test", sets).Model.Width);

    [Fact]
    public void Absent_widths_are_those_of_the_paper_s_proportions()
    {
        var attention = new LatentAttentionConfig { Heads = 4, KvRank = 64 };
        Assert.Equal((32, 16, 32), (attention.HeadWidthAt(128), attention.RotaryWidthAt(128), attention.ValueWidthAt(128)));
    }

    [Fact]
    public void A_token_costs_three_products_with_every_key_and_every_value_and_keeps_one_vector()
    {
        var model = ConfigFile.Parse(Rest, "test", []).Model;
        var size = new ModelSize(model);
        Assert.Equal(
            4 * (128 * 4 * 48 + 128 * (64 + 16) + 64 * 4 * 64 + 4 * 32 * 128),
            size.Parts.Single(part => part.Name == "attention").MatrixParameters);
        Assert.Equal(6 * size.MatrixParameters + 4 * 6 * 50 * 4 * (48 + 32), size.FlopsPerToken(100));
        Assert.Equal(4 * 4 * 100 * (64 + 16), size.StateBytes(100));
    }
}
