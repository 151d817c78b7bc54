using Transformer.Configuration;
using Transformer.Layers;
using Transformer.Layers.Attention;
using Transformer.Layers.Positions;
using Transformer.Model;
using Transformer.Runs;
using static TorchSharp.torch;

namespace Transformer.Tests.Layers.Attention;

// B batch · T tokens · H heads · D head width

public sealed class ForgettingAttentionTests
{
    private const double Scale = 0.3;

    [Fact]
    public void With_gates_of_one_it_is_softmax_attention_to_the_bit_and_nearly_so_by_the_fused_kernel()
    {
        using var scope = NewDisposeScope();
        var (q, k, v) = (randn(2, 4, 33, 16), randn(2, 2, 33, 16), randn(2, 2, 33, 16));
        var mask = SoftmaxAttention.CausalMask(33, CPU);
        var expected = SoftmaxAttention.Explicit(q, k, v, Scale, mask);
        Near.Equal(expected, ForgettingAttention.Explicit(q, k, v, zeros(2, 4, 33), Scale, mask), 0);
        Near.Equal(expected, ForgettingAttention.Fused(q, k, v, zeros(2, 4, 33), Scale), 1e-6);
    }

    [Fact]
    public void With_constant_gates_it_is_ALiBi()
    {
        using var scope = NewDisposeScope();
        var (q, k, v) = (randn(2, 4, 17, 8), randn(2, 4, 17, 8), randn(2, 4, 17, 8));
        var (mask, positions) = (SoftmaxAttention.CausalMask(17, CPU), arange(17));
        var slopes = tensor(AlibiPositionConfig.Slopes(4).Select(slope => -(float)slope).ToArray());
        var logForget = slopes.view(1, 4, 1).expand(2, 4, 17);
        var expected = SoftmaxAttention.Explicit(q, k, v, Scale, mask, bias: new AlibiBias(4).call(q, positions, positions));
        Near.Equal(expected, ForgettingAttention.Explicit(q, k, v, logForget, Scale, mask), 1e-5);
        Near.Equal(expected, ForgettingAttention.Fused(q, k, v, logForget, Scale), 1e-5);
    }

    [Fact]
    public void The_bias_is_the_sum_of_what_the_tokens_between_key_and_query_forget()
    {
        using var scope = NewDisposeScope();
        var logForget = -rand(1, 2, 6);
        var bias = ForgettingAttention.Bias(logForget);
        for (var i = 0; i < 6; i++)
            for (var j = 0; j <= i; j++)
            {
                double sum = 0;
                for (var l = j + 1; l <= i; l++) sum += logForget[0, 1, l].item<float>();
                Near.Equal(sum, bias[0, 1, i, j].item<float>(), 1e-6);
            }
    }

    [Fact]
    public void Sums_that_have_grown_large_stay_exact_where_keys_are_near()
    {
        using var scope = NewDisposeScope();
        var logForget = full([1, 1, 4096], -20.3f);
        logForget[0, 0, 4095] = -0.0625f;
        Assert.Equal(-0.0625f, ForgettingAttention.Bias(logForget)[0, 0, 4095, 4094].item<float>(), 1e-6f);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Both_forms_of_the_layer_agree_in_values_and_gradients(bool isPro)
    {
        using var scope = NewDisposeScope();
        var config = new ForgettingAttentionConfig
        {
            Heads = 4,
            KvHeads = 2,
            QueryKeyNorm = isPro,
            KeyValueShift = isPro,
            OutputGate = isPro
        };
        using var layer = new ForgettingAttention(config, width: 16);
        var x = randn(2, 21, 16);
        var fused = Gradients(layer, layer.call(x, new ForwardContext(), null));
        // A mask makes the layer take the explicit form.
        var masked = new ForwardContext { Causal = false, Mask = SoftmaxAttention.CausalMask(21, CPU) };
        var written = Gradients(layer, layer.call(x, masked, null));
        foreach (var ((name, expected), found) in written.Zip(fused.Values))
            Near.Equal(expected, found, 1e-5 * Math.Max(1, expected.abs().max().item<float>()), name);
    }

    [Fact]
    public void Nothing_learns_from_the_gate_of_the_first_token()
    {
        using var scope = NewDisposeScope();
        var logForget = (-rand(1, 2, 9)).requires_grad_();
        ForgettingAttention.Fused(randn(1, 2, 9, 4), randn(1, 2, 9, 4), randn(1, 2, 9, 4), logForget, Scale).square().sum().backward();
        Near.Equal(zeros(1, 2), logForget.grad![.., .., 0], 1e-6);
        Assert.True(logForget.grad![.., .., 1..].abs().max().item<float>() > 1e-4);
    }

    [Fact]
    public void A_state_is_keys_values_and_a_gate_a_head_and_token()
    {
        using var model = new TransformerModel(Tiny.Config with { Attention = new ForgettingAttentionConfig { Heads = 4, KvHeads = 2 } });
        using var state = model.NewState(rows: 3, capacity: 8);
        Assert.Equal(3 * 2 * 8 * (2 * 2 * 4 + 4) * sizeof(float), state.Bytes);
    }

    [Theory]
    [InlineData("model.position: forgetting attention computes what distance takes", "model.position={kind: alibi}")]
    [InlineData("model.attention.kv_heads: 3 key/value heads do not divide 4 heads", "model.attention.kv_heads=3")]
    [InlineData("model.attention.kv_heads: found 0", "model.attention.kv_heads=0")]
    [InlineData(
        "model.attention.kind: dynamic_ntk rotates all keys",
        "model.position={kind: rope, scaling: {kind: dynamic_ntk, factor: 2, original_length: 32}}")]
    public void What_does_not_fit_is_refused_by_name(string problem, string set)
    {
        const string Run = """
            model: {width: 16, context_length: 8, layers: 1, attention: {kind: forgetting, heads: 4}, position: {kind: none}}
            data: {path: a.txt}
            training: {steps: 1, batch_size: 1, optimizer: {kind: adamw, learning_rate: 1.0e-3}}
            """;
        Assert.Contains(problem, Assert.Throws<InputException>(() => ConfigFile.Parse(Run, "test", [set])).Message);
    }

    private static Dictionary<string, Tensor> Gradients(ForgettingAttention layer, Tensor y)
    {
        layer.zero_grad();
        y.square().sum().backward();
        return layer.named_parameters().ToDictionary(parameter => parameter.name, parameter => parameter.parameter.grad!.clone());
    }
}
