using Transformer.Configuration;
using Transformer.Model;

namespace Transformer.Tests.Model;

/// <summary>What configurations say of parameters is what the models have, for every kind.</summary>
public sealed class ParameterSpecTests
{
    private static readonly Dictionary<string, ModelConfig> Models = new(
    [
        .. Tiny.Models,
        .. Tiny.Mlps.Select(mlp => KeyValuePair.Create($"mlp {mlp.Key}", Tiny.Config with { Mlp = mlp.Value })),
        .. Tiny.Norms.Select(norm => KeyValuePair.Create($"norm {norm.Key}", Tiny.Config with { Norm = norm.Value, TiedHead = false })),
        KeyValuePair.Create("biases and norms of heads", Tiny.Config with
        {
            Attention = new SoftmaxAttentionConfig
            {
                Heads = 4, HeadWidth = 6, Bias = true, QueryKeyNorm = true, Window = Tiny.Windows["dynamic"],
            },
        }),
        KeyValuePair.Create("without an mlp", Tiny.Config with { Mlp = new NoMlpConfig(), Residual = new SandwichResidualConfig() }),
        KeyValuePair.Create("twelve experts", Tiny.Config with
        {
            Mlp = Tiny.Mixture with { Experts = 12, Expert = new GeluMlpConfig { Bias = true } },
        }),
    ]);

    public static TheoryData<string> Kinds => [.. Models.Keys];

    [Theory, MemberData(nameof(Kinds))]
    public void Specs_are_the_models_parameters_by_name_shape_and_order(string kind)
    {
        using var model = new TransformerModel(Models[kind]);
        Assert.Equal(
            model.Weights.Select(weight => $"{weight.Name} [{string.Join(", ", weight.Value.shape)}]"),
            Models[kind].Parameters().Select(spec => $"{spec.Name} [{string.Join(", ", spec.Shape)}]"));
    }

    [Theory, MemberData(nameof(Kinds))]
    public void Hidden_matrices_are_those_of_the_blocks_and_between_them_but_for_the_vectors_of_spans(string kind) => Assert.All(
        Models[kind].Parameters(),
        spec => Assert.Equal(
            spec.Shape.Length == 2 && (spec.Block is not null || spec.Component is ModelComponent.Hourglasses or ModelComponent.Vision)
                && !spec.Name.Contains(".window.") && !IsTable(spec.Name),
            spec.IsHidden));

    // Vectors that are looked up, of places in a picture, of latents and of a picture's own place in the text.
    private static bool IsTable(string name) => name.StartsWith("model.vision.", StringComparison.Ordinal)
        && (name.Contains(".positions.") || name.EndsWith("latents.weight", StringComparison.Ordinal)
            || name.EndsWith("mark.weight", StringComparison.Ordinal));

    [Fact]
    public void A_parameter_without_a_spec_and_one_of_another_shape_are_named()
    {
        var config = Tiny.Config;
        using var model = new TransformerModel(config);
        var found = model.Weights.Select(weight => (weight.Name, weight.Value.shape)).ToList();
        found[0] = ("model.memory", [3]);
        found[1] = (found[1].Name, [2, 5]);
        var error = Assert.Throws<InvalidOperationException>(() => SpecifiedParameters.Of(config, found, group: null));
        Assert.Equal(
            [
                "model.embed_tokens.weight: specified, but no layer has it",
                "model.memory: a layer has it, but it is not specified",
                "model.layers.0.input_layernorm.weight: specified as [16], but the layer's is [2, 5]",
            ],
            error.Message.Split('\n'));
    }

    [Fact]
    public void Only_adaptive_spans_are_bounded()
    {
        Assert.All(
            Models.Values.SelectMany(config => config.Parameters()),
            spec => Assert.Equal(spec.Name.EndsWith(".window.span", StringComparison.Ordinal), spec.IsBounded));
        Assert.Contains(Models["adaptive"].Parameters(), spec => spec.IsBounded);
    }
}
