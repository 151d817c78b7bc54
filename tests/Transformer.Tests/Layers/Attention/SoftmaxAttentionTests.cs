using TorchSharp.Modules;
using Transformer.Configuration;
using Transformer.Layers;
using Transformer.Layers.Attention;
using Transformer.Layers.Positions;
using Transformer.Native;
using static TorchSharp.torch;

namespace Transformer.Tests.Layers.Attention;

public sealed class SoftmaxAttentionTests
{
    [Theory]
    [InlineData(1, 1, 1, true)]
    [InlineData(7, 4, 4, true)]
    [InlineData(33, 6, 2, true)]
    [InlineData(65, 4, 1, false)]
    public void The_fused_kernel_equals_the_paper_s_equation_in_values_and_gradients(int tokens, int heads, int keyValueHeads, bool causal)
    {
        var mask = causal ? SoftmaxAttention.CausalMask(tokens, CPU) : null;
        SameAsExplicit(
            Inputs(tokens, tokens, heads, keyValueHeads), mask, inputs =>
                Aten.ScaledDotProductAttention(inputs[0], inputs[1], inputs[2], null, 0, causal, 0.3));
    }

    [Fact]
    public void The_fused_kernel_equals_the_equation_under_a_mask_that_differs_by_row()
    {
        var mask = arange(9).unsqueeze(0) <= tensor((long[])[4, 6, 8, 2, 3, 4], [2, 3, 1]);    // [2, 3, 9]
        SameAsExplicit(
            Inputs(3, 9, 4, 2), mask.unsqueeze(1), inputs =>
                Aten.ScaledDotProductAttention(inputs[0], inputs[1], inputs[2], mask.unsqueeze(1), 0, false, 0.3));
    }

    [Theory]
    [InlineData(null)]
    [InlineData(0.5)]
    public void The_explicit_form_is_the_formula_written_as_loops(double? softCap)
    {
        var (q, k, v) = (randn(1, 4, 5, 3), randn(1, 2, 5, 3), randn(1, 2, 5, 3));
        var found = SoftmaxAttention.Explicit(q, k, v, 0.7, SoftmaxAttention.CausalMask(5, CPU), softCap);
        for (var head = 0; head < 4; head++)
            for (var t = 0; t < 5; t++)
            {
                double denominator = 0, sum = 0;
                for (var s = 0; s <= t; s++)
                {
                    double score = 0;
                    for (var d = 0; d < 3; d++) score += 0.7 * q[0, head, t, d].item<float>() * k[0, head / 2, s, d].item<float>();
                    if (softCap is { } cap) score = cap * Math.Tanh(score / cap);
                    denominator += Math.Exp(score);
                    sum += Math.Exp(score) * v[0, head / 2, s, 1].item<float>();
                }
                Near.Equal(sum / denominator, found[0, head, t, 1].item<float>(), 1e-6);
            }
    }

    [Fact]
    public void A_soft_cap_in_the_configuration_caps_the_scores_of_the_layer()
    {
        var (plain, capped) = (Layer(new() { Heads = 4 }), Layer(new() { Heads = 4, LogitSoftCap = 0.5 }));
        Tiny.CopyWeights(plain, capped);
        var x = 4 * randn(2, 6, 16);
        var (q, k, v) = (Heads(plain, "q_proj", x), Heads(plain, "k_proj", x), Heads(plain, "v_proj", x));
        var z = SoftmaxAttention.Explicit(q, k, v, 0.5, SoftmaxAttention.CausalMask(6, CPU), 0.5).transpose(1, 2).flatten(2);
        var expected = matmul(z, capped.Weight("o_proj.weight").t());
        Near.Equal(expected, Pass(capped, x), 1e-5);
        Assert.True(Near.Distance(expected, Pass(plain, x)) > 1e-3);
    }

    [Fact]
    public void Grouped_attention_is_multi_head_attention_with_repeated_heads()
    {
        var (grouped, multiHead) = (Layer(new() { Heads = 4, KvHeads = 2, Bias = true }), Layer(new() { Heads = 4, Bias = true }));
        using var _ = no_grad();
        foreach (var (name, parameter) in multiHead.named_parameters())
        {
            var value = grouped.Weight(name);
            var repeated = value.shape[0] == parameter.shape[0] ? value : value.unflatten(0, [2, 4]).repeat_interleave(2, 0).flatten(0, 1);
            parameter.copy_(repeated);
        }
        var x = randn(2, 7, 16);
        Near.Equal(Pass(multiHead, x), Pass(grouped, x), 1e-6);
    }

    [Fact]
    public void Normalised_queries_and_keys_bound_the_scores()
    {
        var (normalised, plain) = (Layer(new() { Heads = 4, QueryKeyNorm = true }), Layer(new() { Heads = 4 }));
        Assert.True(ChangeWhenQueriesGrow(normalised) < 1e-4);
        Assert.True(ChangeWhenQueriesGrow(plain) > 1e-2);
    }

    [Fact]
    public void Dropped_weights_are_only_dropped_in_training()
    {
        var layer = Layer(new() { Heads = 4, Dropout = 0.5 });
        var x = randn(2, 7, 16);
        Assert.NotEqual(0, Near.Distance(Pass(layer, x), Pass(layer, x)));
        layer.eval();
        Assert.Equal(0, Near.Distance(Pass(layer, x), Pass(layer, x)));
    }

    [Theory]
    [InlineData("alibi")]
    [InlineData("t5")]
    [InlineData("relative")]
    public void Biased_scores_through_the_fused_kernel_equal_the_equation_in_values_and_gradients(string position)
    {
        using var bias = ScoreBias.FromConfig(
            Tiny.Config with { Position = Tiny.Positions[position], Attention = new SoftmaxAttentionConfig { Heads = 4 } })!;
        var layer = Layer(new() { Heads = 4 });
        var (x, direction) = (randn(2, 9, 16), randn(2, 9, 16));
        Parameter[] parameters = [
            .. bias.parameters(), layer.Weight("q_proj.weight"), layer.Weight("k_proj.weight"), layer.Weight("v_proj.weight")];

        var (q, k, v) = (Heads(layer, "q_proj", x), Heads(layer, "k_proj", x), Heads(layer, "v_proj", x));
        var scores = bias.call(q, arange(9), arange(9));
        var z = SoftmaxAttention.Explicit(q, k, v, 0.5, SoftmaxAttention.CausalMask(9, CPU), bias: scores).transpose(1, 2).flatten(2);
        var expected = matmul(z, layer.Weight("o_proj.weight").t());
        var found = layer.call(x, new ForwardContext { Bias = bias }, null);
        Near.Equal(expected, found, 1e-5, "values");
        Assert.True(Near.Distance(Pass(layer, x), found) > 1e-3);

        var gradients = Gradients(expected);
        foreach (var (formula, kernel) in gradients.Zip(Gradients(found)))
            Near.Equal(formula, kernel, 1e-5 * formula.abs().max().item<float>(), "gradient");

        List<Tensor> Gradients(Tensor y)
        {
            foreach (var parameter in parameters) parameter.grad = null;
            (y * direction).sum().backward();
            return [.. parameters.Select(parameter => parameter.grad!.clone())];
        }
    }

    [Fact]
    public void A_cache_holds_two_vectors_a_key_value_head_and_token()
    {
        using var state = Layer(new() { Heads = 4, KvHeads = 2 }).NewState(rows: 3, length: 10, CPU);
        Assert.Equal(2 * 3 * 2 * 4 * 10 * sizeof(float), state.Bytes);
    }

    private static SoftmaxAttention Layer(SoftmaxAttentionConfig config) => new(config, width: 16);

    private static Tensor Pass(SoftmaxAttention layer, Tensor x) => layer.call(x, new ForwardContext(), null);

    private static Tensor Heads(SoftmaxAttention layer, string projection, Tensor x) =>
        matmul(x, layer.Weight($"{projection}.weight").t()).unflatten(2, [4, 4]).transpose(1, 2);

    private static double ChangeWhenQueriesGrow(SoftmaxAttention layer)
    {
        using var _ = no_grad();
        var x = randn(2, 7, 16);
        layer.Weight("q_proj.weight").mul_(20);    // epsilon no longer counts
        var before = Pass(layer, x);
        layer.Weight("q_proj.weight").mul_(3);
        return Near.Distance(before, Pass(layer, x));
    }

    private static Tensor[] Inputs(int tokens, int keys, int heads, int keyValueHeads) =>
        [.. new[]
        {
            randn(2, heads, tokens, 8), randn(2, keyValueHeads, keys, 8), randn(2, keyValueHeads, keys, 8),
        }.Select(input => input.requires_grad_(true))];

    private static void SameAsExplicit(Tensor[] inputs, Tensor? mask, Func<Tensor[], Tensor> fused)
    {
        var direction = randn(inputs[0].shape);
        var copies = inputs.Select(input => input.detach().clone().requires_grad_(true)).ToArray();
        var (expected, found) = (SoftmaxAttention.Explicit(copies[0], copies[1], copies[2], 0.3, mask), fused(inputs));
        Near.Equal(expected, found, 1e-5, "values");
        (expected * direction).sum().backward();
        (found * direction).sum().backward();
        for (var i = 0; i < 3; i++) Near.Equal(copies[i].grad!, inputs[i].grad!, 2e-5, $"gradient of {"qkv"[i]}");
    }
}
