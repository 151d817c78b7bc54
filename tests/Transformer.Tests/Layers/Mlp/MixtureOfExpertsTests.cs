using Transformer.Configuration;
using Transformer.Layers;
using Transformer.Layers.Mlp;
using Transformer.Model;
using static TorchSharp.torch;

namespace Transformer.Tests.Layers.Mlp;

public sealed class MixtureOfExpertsTests
{
    private const int Width = 6;

    private static readonly MixtureMlpConfig Four = new() { Experts = 4, Active = 2, Expert = new SwiGluMlpConfig { Hidden = 5 } };

    [Theory]
    [InlineData(1, "swiglu")]
    [InlineData(2, "swiglu")]
    [InlineData(2, "gelu")]
    [InlineData(4, "relu_squared")]
    public void Dispatching_equals_all_experts_on_all_tokens_behind_a_mask_in_values_and_gradients(int active, string expert)
    {
        manual_seed(51);
        using var layer = Layer(Four with { Active = active, Expert = Tiny.Mlps[expert] with { Hidden = 5 } });
        var (x, direction) = (randn(2, 7, Width), randn(2, 7, Width));
        var (expected, expectedGradients) = Pass(layer, x, direction, input => Dense(layer, input, active));
        var (found, gradients) = Pass(layer, x, direction, input => layer.call(input, new ForwardContext()));
        Near.Equal(expected, found, 1e-5, "values");
        foreach (var (name, gradient) in expectedGradients) Near.Equal(gradient, gradients[name], 1e-5, $"gradient of {name}");
        Assert.True(expectedGradients["gate.weight"].abs().max().item<float>() > 1e-4, "the router must learn from the loss");
    }

    [Fact]
    public void An_expert_that_no_token_takes_gets_no_gradient()
    {
        using var layer = Layer(Four with { Active = 1 });
        Prefer(layer, 2);
        var (_, gradients) = Pass(layer, rand(2, 7, Width) + 0.1, ones(2, 7, Width), x => layer.call(x, new ForwardContext()));
        foreach (var (name, gradient) in gradients.Where(entry => entry.Key.StartsWith("experts")))
            Assert.Equal(name.StartsWith("experts.2."), gradient.abs().max().item<float>() > 0);
    }

    [Fact]
    public void A_single_expert_is_the_expert_weighted_by_its_probability_which_is_one()
    {
        using var layer = Layer(Four with { Experts = 1, Active = 1 });
        using var alone = Transformer.Layers.Mlp.Mlp.FromConfig(Four.Expert, Width);
        using (no_grad()) foreach (var (name, parameter) in alone.named_parameters()) parameter.copy_(layer.Weight($"experts.0.{name}"));
        var x = randn(2, 7, Width);
        Near.Equal(alone.call(x, new ForwardContext()), layer.call(x, new ForwardContext()), 1e-6);
    }

    [Fact]
    public void The_names_are_those_of_hugging_face_s_mixtures()
    {
        using var model = new TransformerModel(Tiny.Config with { Mlp = Tiny.Mixture });
        var names = model.named_parameters().Select(parameter => parameter.name).Where(name => name.StartsWith("model.layers.1.mlp."))
            .Select(name => name[19..]);
        Assert.Equal(
            [
                "gate.weight",
                .. from expert in Enumerable.Range(0, 4)
                   from part in (string[])["gate", "up", "down"]
                   select $"experts.{expert}.{part}_proj.weight",
            ],
            names);
    }

    [Fact]
    public void Balance_is_the_formula_written_as_loops_and_so_is_its_gradient()
    {
        const int Tokens = 9, Experts = 4, Active = 2;
        var logits = randn(Tokens, Experts).requires_grad_(true);
        var probabilities = logits.softmax(-1);
        var chosen = probabilities.topk(Active).indexes;
        var found = MixtureOfExperts.Imbalance(probabilities, chosen);

        var (share, mean, expected) = (new double[Experts], new double[Experts], 0.0);
        for (var e = 0; e < Experts; e++)
        {
            for (var n = 0; n < Tokens; n++)
            {
                mean[e] += probabilities[n, e].item<float>() / (double)Tokens;
                for (var k = 0; k < Active; k++) if (chosen[n, k].item<long>() == e) share[e] += 1.0 / Tokens;
            }
            expected += Experts * share[e] * mean[e];
        }
        Near.Equal(expected, found.item<float>(), 1e-5);

        // The shares are counts and have no gradient: of logit j of a token it is E / N p_j (f_j - sum_e f_e p_e).
        found.backward();
        for (var n = 0; n < Tokens; n++)
        {
            double pull = 0;
            for (var e = 0; e < Experts; e++) pull += share[e] * probabilities[n, e].item<float>();
            for (var j = 0; j < Experts; j++)
                Near.Equal(
                    (double)Experts / Tokens * probabilities[n, j].item<float>() * (share[j] - pull), logits.grad![n, j].item<float>(),
                    1e-6);
        }
    }

    [Fact]
    public void Balance_is_the_number_of_active_experts_where_all_are_used_alike_and_more_where_not()
    {
        var even = (eye(4).repeat(3, 1) + eye(4).roll(1, 0).repeat(3, 1)) / 2;
        Near.Equal(2, MixtureOfExperts.Imbalance(even, even.topk(2).indexes).item<float>(), 1e-6);
        var one = eye(4)[0].repeat(12, 1);
        Near.Equal(4, MixtureOfExperts.Imbalance(one, one.topk(1).indexes).item<float>(), 1e-6);
    }

    [Fact]
    public void A_training_pass_adds_the_balance_of_every_block_times_its_weight()
    {
        using var model = new TransformerModel(Tiny.Config with { Mlp = Tiny.Mixture with { Balance = 0.25 } });
        var ids = Tiny.Ids(2, 6);
        var (_, penalty) = model.HiddenAndPenalty(ids);
        Assert.InRange(penalty!.item<float>(), 0.25 * 2 * 1.0, 0.25 * 2 * 4.0);    // two blocks, each from about K = 2 up to E = 4
        penalty.backward();
        foreach (var layer in (int[])[0, 1])
            Assert.True(model.Weight($"model.layers.{layer}.mlp.gate.weight").grad!.abs().max().item<float>() > 0);
        // the last block's experts come after every router
        Assert.Null(model.Weight("model.layers.1.mlp.experts.0.up_proj.weight").grad);

        using var free = new TransformerModel(Tiny.Config with { Mlp = Tiny.Mixture with { Balance = 0 } });
        Assert.Null(free.HiddenAndPenalty(ids).Penalty);
    }

    [Theory]
    [InlineData(1.0, 3)]     // 12 tokens, 4 experts
    [InlineData(1.25, 4)]    // 3.75, rounded up
    [InlineData(2.0, 6)]
    [InlineData(9.0, 12)]
    public void A_full_expert_drops_exactly_the_tokens_after_its_capacity(double factor, int capacity)
    {
        using var layer = Layer(Four with { Active = 1, CapacityFactor = factor });
        using var unlimited = Layer(Four with { Active = 1 });
        Tiny.CopyWeights(layer, unlimited);
        Prefer(layer, 1);
        Prefer(unlimited, 1);
        var x = rand(2, 6, Width) + 0.1;
        var (found, all) = (layer.call(x, new ForwardContext()).flatten(0, 1), unlimited.call(x, new ForwardContext()).flatten(0, 1));
        Near.Equal(all.narrow(0, 0, capacity), found.narrow(0, 0, capacity), 1e-6, "those that fit");
        for (var token = capacity; token < 12; token++) Assert.Equal(0, found[token].abs().max().item<float>());
        Assert.All(Enumerable.Range(0, 12), token => Assert.True(all[token].abs().max().item<float>() > 0));
        layer.eval();
        Near.Equal(all, layer.call(x, new ForwardContext()).flatten(0, 1), 1e-6, "outside training");
    }

    [Fact]
    public void A_token_that_one_expert_drops_keeps_what_the_other_gives()
    {
        using var layer = Layer(Four with { Active = 2, CapacityFactor = 0.5 });     // 0.5 x 8 x 2 / 4 = 2
        Prefer(layer, 3);
        var x = rand(1, 8, Width) + 0.1;
        var found = layer.call(x, new ForwardContext());
        Near.Equal(Dense(layer, x, 2, capacity: 2), found, 1e-5);
        Assert.True(Near.Distance(Dense(layer, x, 2), found) > 1e-4);
    }

    private static MixtureOfExperts Layer(MixtureMlpConfig config)
    {
        var layer = new MixtureOfExperts(config, Width);
        using var _ = no_grad();
        foreach (var parameter in layer.parameters()) parameter.copy_(0.7 * randn_like(parameter));
        return layer;
    }

    // For inputs above zero.
    private static void Prefer(MixtureOfExperts layer, int expert)
    {
        using var _ = no_grad();
        layer.Weight("gate.weight").mul_(0.1);
        layer.Weight("gate.weight")[expert].fill_(3);
    }

    // Every expert computes every token; the mask says what counts.
    private static Tensor Dense(MixtureOfExperts layer, Tensor x, int active, int capacity = int.MaxValue)
    {
        var probabilities = matmul(x, layer.Weight("gate.weight").t()).softmax(-1).flatten(0, -2);
        var (best, chosen) = probabilities.topk(active);
        var experts = layer.named_children().Single(child => child.name == "experts").module.children().Cast<Transformer.Layers.Mlp.Mlp>()
            .ToArray();
        var y = zeros_like(x);
        for (var e = 0; e < experts.Length; e++)
        {
            var mask = (chosen == e).any(-1, keepdim: true);
            mask = mask.logical_and(mask.to(int64).cumsum(0) <= capacity);
            var weight = probabilities.narrow(1, e, 1) / (active == 1 ? 1 : best.sum(-1, keepdim: true));
            y = y + (mask * weight).view(x.shape[0], x.shape[1], 1) * experts[e].call(x, new ForwardContext());
        }
        return y;
    }

    private static (Tensor Value, Dictionary<string, Tensor> Gradients) Pass(
        MixtureOfExperts layer, Tensor x, Tensor direction, Func<Tensor, Tensor> forward)
    {
        foreach (var parameter in layer.parameters()) parameter.grad = zeros_like(parameter);
        var input = x.clone().requires_grad_(true);
        var y = forward(input);
        (y * direction).sum().backward();
        var gradients = layer.named_parameters().ToDictionary(parameter => parameter.name, parameter => parameter.parameter.grad!.clone());
        return (y, new(gradients) { ["x"] = input.grad! });
    }
}
