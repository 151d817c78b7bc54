using Transformer.Configuration;
using Transformer.Layers;
using Transformer.Layers.Attention;
using Transformer.Layers.Positions;
using static TorchSharp.torch;

namespace Transformer.Tests.Layers.Attention;

// B batch · T tokens · C width · H heads · D head width · E value width

public sealed class LinearAttentionTests
{
    private const int Width = 16;

    public static TheoryData<string> Rules => [.. Tiny.Linear.Keys];

    public LinearAttentionTests() => manual_seed(1);

    [Theory]
    [InlineData("gated_delta", 1)]
    [InlineData("gated_delta, negative eigenvalues", 2)]
    public void A_layer_of_gated_deltanet_is_the_paper_s_equations(string rule, int greatestBeta)
    {
        using var scope = NewDisposeScope();
        var layer = Layer(rule);
        var x = randn(2, 11, Width);
        var (q, k, v) = (Convolved(layer, "q", x), Convolved(layer, "k", x), Convolved(layer, "v", x));                // 3 x [B, H, T, D]
        (q, k) = (nn.functional.normalize(q, dim: -1) / 2, nn.functional.normalize(k, dim: -1));                       // D = 4
        var step = nn.functional.softplus(Projected(layer, "a_proj", x) + layer.Weight("dt_bias"));                     // [B, T, H]
        var decay = (-layer.Weight("A_log").exp() * step).transpose(1, 2).unsqueeze(-1);
        var beta = greatestBeta * Projected(layer, "b_proj", x).sigmoid().transpose(1, 2).unsqueeze(-1);
        var o = LinearRecurrence.Recurrent(q, k, v, decay, beta, null).Output;
        Near.Equal(Finished(layer, o, x), Pass(layer, x), 2e-5);
    }

    [Fact]
    public void A_layer_of_retention_is_the_paper_s_equations()
    {
        using var scope = NewDisposeScope();
        var layer = Layer("retention");
        var x = randn(2, 11, Width);
        var (q, k, v) = (Heads(Projected(layer, "q_proj", x)), Heads(Projected(layer, "k_proj", x)), Heads(Projected(layer, "v_proj", x)));
        var distance = (arange(11).view(-1, 1) - arange(11)).clamp_min(0);
        var decay = pow(1 - pow(2, -5 - arange(4).to(float32)).view(-1, 1, 1), distance).tril();                        // [H, T, T]
        Near.Equal(Finished(layer, matmul(decay * matmul(q, k.transpose(-2, -1)) / 2, v), x), Pass(layer, x), 2e-5);
        Near.Equal(Golden.Read("linear/retention.safetensors")["log_decay_per_head"], LinearAttention.Retention(3, CPU).flatten(), 1e-7);
    }

    [Fact]
    public void A_layer_of_gated_linear_attention_is_the_paper_s_equations()
    {
        using var scope = NewDisposeScope();
        var layer = Layer("gla");
        var x = randn(2, 11, Width);
        var (q, k, v) = (Heads(Projected(layer, "q_proj", x)), Heads(Projected(layer, "k_proj", x)), Heads(Projected(layer, "v_proj", x)));
        var gate = matmul(Projected(layer, "gk_proj.0", x), layer.Weight("gk_proj.1.weight").t()) + layer.Weight("gk_proj.1.bias");
        var decay = Heads(gate.sigmoid().pow(1 / 16.0));
        Near.Equal(Finished(layer, LinearRecurrence.Recurrent(q / 2, k, v, decay.log(), null, null).Output, x), Pass(layer, x), 2e-5);
    }

    [Fact]
    public void A_layer_of_mamba_2_is_its_recurrence_with_steps_of_computed_length()
    {
        using var scope = NewDisposeScope();
        using var layer = new LinearAttention(new() { Rule = new ScalarGlaRule(), Heads = 4 }, Width);
        var x = randn(2, 11, Width);
        // [B, H, T, 1]
        var step = nn.functional.softplus(Projected(layer, "a_proj", x) + layer.Weight("dt_bias")).transpose(1, 2).unsqueeze(-1);
        var decay = -layer.Weight("A_log").exp().view(-1, 1, 1) * step;
        var o = LinearRecurrence.Recurrent(
            Convolved(layer, "q", x) / 2, step * Convolved(layer, "k", x), Convolved(layer, "v", x), decay, null, null).Output;
        Near.Equal(Finished(layer, o, x), Pass(layer, x), 2e-5);
    }

    [Theory]
    [InlineData("elu")]
    [InlineData("dpfp")]
    [InlineData("taylor")]
    public void Normalised_rules_are_means_of_the_values_weighted_by_products_of_features(string rule)
    {
        using var scope = NewDisposeScope();
        var layer = Layer(rule);
        var (x, heads) = (randn(2, 11, Width), rule == "taylor" ? 2 : 4);
        Tensor Phi(string projection)
        {
            var head = Heads(Projected(layer, projection, x), heads);
            return rule switch { "elu" => FeatureMap.Elu(head), "dpfp" => FeatureMap.Dpfp(head, 2), _ => FeatureMap.Taylor(head) };
        }
        var scores = matmul(Phi("q_proj"), Phi("k_proj").transpose(-2, -1)).tril();                                     // [B, H, T, T]
        var weights = scores / (scores.sum(-1, keepdim: true) + 1e-6);
        Near.Equal(Finished(layer, matmul(weights, Heads(Projected(layer, "v_proj", x), heads)), x), Pass(layer, x), 1e-5);
    }

    [Fact]
    public void Rotary_positions_turn_the_features_of_elu_above_the_normaliser_only()
    {
        using var scope = NewDisposeScope();
        var layer = Layer("elu");
        using var rotary = new RotaryPosition(new RotaryPositionConfig(), headWidth: 4, length: 11, CPU);
        var (x, rotation) = (randn(2, 11, Width), rotary.At(0, 11));
        var (q, k) = (FeatureMap.Elu(Heads(Projected(layer, "q_proj", x))), FeatureMap.Elu(Heads(Projected(layer, "k_proj", x))));
        var above = matmul(rotation.Apply(q), rotation.Apply(k).transpose(-2, -1)).tril();
        var below = matmul(q, k.transpose(-2, -1)).tril().sum(-1, keepdim: true) + 1e-6;
        // equation 19 of RoFormer
        var o = matmul(above / below, Heads(Projected(layer, "v_proj", x)));
        var found = layer.call(x, new ForwardContext { Rotation = rotation }, null);
        Near.Equal(Finished(layer, o, x), found, 1e-5);
        Assert.True(Near.Distance(found, Pass(layer, x)) > 1e-2);
    }

    [Theory]
    [InlineData("dpfp")]
    [InlineData("taylor")]
    public void Rules_whose_features_are_no_vectors_to_turn_go_without_the_rotation_of_others(string rule)
    {
        using var scope = NewDisposeScope();
        var layer = Layer(rule);
        using var rotary = new RotaryPosition(new RotaryPositionConfig(), headWidth: 8, length: 5, CPU);
        var x = randn(2, 5, Width);
        Near.Equal(Pass(layer, x), layer.call(x, new ForwardContext { Rotation = rotary.At(0, 5) }, null), 0);
    }

    [Theory]
    [MemberData(nameof(Rules))]
    public void Token_by_token_a_layer_gives_what_it_gives_for_the_whole_text_in_a_state_that_does_not_grow(string rule)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var layer = Layer(rule);
        var x = randn(2, 40, Width);
        using var state = layer.NewState(rows: 2, length: 40, CPU);
        using var longer = layer.NewState(rows: 2, length: 1_000_000, CPU);
        var bytes = state.Bytes;
        var steps = Enumerable.Range(0, 40).Select(t => layer.call(x.narrow(1, t, 1), new ForwardContext { CachedLengths = [t, t] }, state))
            .ToArray();
        Near.Equal(Pass(layer, x), cat(steps, 1), 2e-5);
        Assert.Equal((bytes, bytes), (state.Bytes, longer.Bytes));
    }

    [Theory]
    [MemberData(nameof(Rules))]
    public void Filling_leaves_the_state_as_it_was(string rule)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var layer = Layer(rule);
        var x = randn(3, 6, Width);
        using var state = (RecurrentState)layer.NewState(rows: 3, length: 12, CPU);
        layer.call(x, new ForwardContext { CachedLengths = [0, 0, 0] }, state);
        var before = Everything(state);
        layer.call(randn(3, 6, Width), new ForwardContext { CachedLengths = [6, 6, 6], NewTokens = [6, 3, 0] }, state);
        var after = Everything(state);
        layer.call(randn(3, 1, Width), new ForwardContext { CachedLengths = [12, 9, 6], NewTokens = [0, 0, 0] }, state);
        var last = Everything(state);
        for (var i = 0; i < before.Length; i++)
        {
            Near.Equal(before[i][2], after[i][2], 0, "a row of filling");
            Near.Equal(after[i], last[i], 0, "a step of filling");
            Assert.True(Near.Distance(before[i][1], after[i][1]) > 1e-4);
        }
    }

    [Theory]
    [MemberData(nameof(Rules))]
    public void Every_parameter_has_a_gradient(string rule)
    {
        using var scope = NewDisposeScope();
        var layer = Layer(rule);
        Pass(layer, randn(2, 11, Width)).square().sum().backward();
        foreach (var (name, parameter) in layer.named_parameters())
            Assert.True(parameter.grad is { } gradient && gradient.abs().max().item<float>() is > 0 and < float.PositiveInfinity, name);
    }

    private static Tensor[] Everything(RecurrentState state) =>
        [.. new[] { state.Matrix, state.KeySum, state.Queries?.Tail, state.Keys?.Tail, state.Values?.Tail }.OfType<Tensor>()
            .Select(tensor => tensor.clone())];

    private static LinearAttention Layer(string rule) => new((LinearAttentionConfig)Tiny.Linear[rule], Width);

    private static Tensor Pass(LinearAttention layer, Tensor x) => layer.call(x, new ForwardContext(), null);

    private static Tensor Projected(LinearAttention layer, string projection, Tensor x) =>
        matmul(x, layer.Weight($"{projection}.weight").t());

    private static Tensor Heads(Tensor x, int heads = 4) => x.unflatten(2, [heads, -1]).transpose(1, 2);

    // silu of libtorch's own causal convolution.
    private static Tensor Convolved(LinearAttention layer, string which, Tensor x)
    {
        var weight = layer.Weight($"{which}_conv1d.weight");
        var projected = nn.functional.pad(Projected(layer, $"{which}_proj", x).transpose(1, 2), [weight.shape[2] - 1, 0]);
        return Heads(nn.functional.silu(nn.functional.conv1d(projected, weight, groups: weight.shape[0])).transpose(1, 2));
    }

    // Norm, gate and output projection, as far as the layer has them.
    private static Tensor Finished(LinearAttention layer, Tensor o, Tensor x)
    {
        var has = layer.named_parameters().Select(parameter => parameter.name).ToHashSet();
        if (has.Contains("o_norm.weight")) o = o * (o.square().mean([-1], keepdim: true) + 1e-5).rsqrt() * layer.Weight("o_norm.weight");
        o = o.transpose(1, 2).flatten(2);
        if (has.Contains("g_proj.weight")) o = o * nn.functional.silu(Projected(layer, "g_proj", x));
        return Projected(layer, "o_proj", o);
    }
}
