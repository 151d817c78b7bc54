using Transformer.Configuration;
using Transformer.Layers;
using Transformer.Layers.Attention;
using Transformer.Model;
using static TorchSharp.torch;

namespace Transformer.Tests.Layers.Attention;

public sealed class ValueResidualTests
{
    private static readonly SoftmaxAttentionConfig Plain = new() { Heads = 4, KvHeads = 2 };
    private static readonly SoftmaxAttentionConfig Mixing = Plain with { ValueResidual = true };

    [Fact]
    public void Zero_of_the_first_and_one_of_its_own_is_off()
    {
        using var plain = new TransformerModel(Tiny.Config with { Layers = 3, Attention = Plain });
        using var mixing = new TransformerModel(Tiny.Config with { Layers = 3, Attention = Mixing });
        Tiny.CopyWeights(plain, mixing);
        var ids = Tiny.Ids(2, 7);
        Assert.True(Near.Distance(plain.call(ids, null), mixing.call(ids, null)) > 1e-2, "at first half of each");
        using (no_grad())
            foreach (var layer in (int[])[1, 2]) mixing.Weight($"model.layers.{layer}.self_attn.value_mix").copy_(tensor((float[])[0, 1]));
        Near.Equal(plain.call(ids, null), mixing.call(ids, null), 0);
    }

    [Fact]
    public void A_later_layer_attends_to_the_mixture_of_its_values_and_the_first_ones()
    {
        using var first = new SoftmaxAttention(Mixing, 16, givesFirstValues: true);
        using var second = new SoftmaxAttention(Mixing, 16);
        using (no_grad()) second.Weight("value_mix").copy_(tensor((float[])[0.3f, -1.2f]));
        var (x, y, context) = (randn(2, 6, 16), randn(2, 6, 16), new ForwardContext());
        first.call(x, context, null);
        var found = second.call(y, context, null);

        Tensor Heads(SoftmaxAttention layer, string name, Tensor from) =>
            matmul(from, layer.Weight($"{name}_proj.weight").t()).unflatten(2, [-1, 4]).transpose(1, 2);
        var v = 0.3 * Heads(first, "v", x) - 1.2 * Heads(second, "v", y);
        var z = SoftmaxAttention.Explicit(Heads(second, "q", y), Heads(second, "k", y), v, 0.5, SoftmaxAttention.CausalMask(6, CPU));
        Near.Equal(matmul(z.transpose(1, 2).flatten(2), second.Weight("o_proj.weight").t()), found, 1e-5);
    }

    [Fact]
    public void The_first_layer_learns_through_the_values_of_later_ones()
    {
        using var model = new TransformerModel(Tiny.Config with { Layers = 2, Attention = Mixing });
        using (no_grad()) model.Weight("model.layers.0.self_attn.o_proj.weight").zero_();    // its own attention gives nothing
        LanguageModelLoss.CrossEntropy(model.call(Tiny.Ids(2, 7), null), Tiny.Ids(2, 7)).backward();
        Assert.True(model.Weight("model.layers.0.self_attn.v_proj.weight").grad!.abs().max().item<float>() > 1e-4);
        Assert.All(model.Weight("model.layers.1.self_attn.value_mix").grad!.data<float>(), gradient => Assert.NotEqual(0, gradient));
    }

    [Fact]
    public void Only_layers_after_the_first_mix_and_they_start_with_half_of_each()
    {
        using var model = new TransformerModel(Tiny.Config with
        {
            Layers = 4,
            Attention = null,
            Mixers = new Dictionary<string, AttentionConfig> { ["plain"] = Plain, ["mixing"] = Mixing },
            Pattern = ["plain", "mixing"],
        });
        var mixes = model.named_parameters().Where(parameter => parameter.name.EndsWith("value_mix")).ToList();
        Assert.Equal("model.layers.3.self_attn.value_mix", Assert.Single(mixes).name);
        Assert.Equal([0.5f, 0.5f], mixes[0].parameter.data<float>().ToArray());
    }

    [Fact]
    public void Values_of_different_shapes_and_a_single_block_with_values_to_mix_are_refused()
    {
        var mixers = new Dictionary<string, AttentionConfig> { ["wide"] = Mixing, ["narrow"] = Mixing with { KvHeads = 1 } };
        Assert.Equal(
            "mixers.value_residual: values of different shapes cannot be mixed; give these mixers the same kv_heads and head_width",
            Assert.Single(Problems(Tiny.Config with { Attention = null, Mixers = mixers, Pattern = ["wide", "narrow"] })));
        Assert.StartsWith(
            "attention.value_residual: only one block has it",
            Assert.Single(Problems(Tiny.Config with { Layers = 1, Attention = Mixing })));
        Assert.Empty(Problems(Tiny.Config with { Attention = Mixing }));
    }

    private static IEnumerable<string> Problems(ModelConfig config) => config.Problems().Select(problem => problem.ToString());
}
