using Transformer.Configuration;
using Transformer.Distributed;
using Transformer.Model;
using Transformer.Runs;
using Transformer.Training;
using static TorchSharp.torch;

namespace Transformer.Tests.Model;

public sealed class WeightInitializationTests
{
    private static readonly ModelConfig Large = Tiny.Config with
    {
        Width = 256,
        VocabularySize = 512,
        TiedHead = false,
        Position = new LearnedPositionConfig(),
        ContextLength = 128
    };

    [Fact]
    public void Gpt2_draws_matrices_with_its_deviation_and_residual_projections_with_less()
    {
        using var model = new TransformerModel(Large with { Initialization = new Gpt2InitializationConfig() });
        foreach (var (name, parameter) in model.named_parameters())
        {
            if (parameter.dim() < 2) continue;
            var residual = name.EndsWith("o_proj.weight", StringComparison.Ordinal)
                || name.EndsWith("down_proj.weight", StringComparison.Ordinal);
            var deviation = residual ? 0.02 / Math.Sqrt(2 * 2) : 0.02;    // 2 L = 4
            Near.Equal(deviation, parameter.std().item<float>(), 0.03 * deviation, name);
            Near.Equal(0, parameter.mean().item<float>(), 0.03 * deviation, name);
        }
    }

    [Fact]
    public void Without_an_mlp_half_as_many_projections_add_up()
    {
        using var model = new TransformerModel(Large with { Mlp = new NoMlpConfig(), Initialization = new Gpt2InitializationConfig() });
        foreach (var (name, parameter) in model.named_parameters())
            if (name.EndsWith("o_proj.weight", StringComparison.Ordinal))
                Near.Equal(0.02 / Math.Sqrt(2), parameter.std().item<float>(), 0.03 * 0.02, name);
    }

    [Fact]
    public void Norm_weights_start_at_one_and_biases_at_zero()
    {
        using var model = new TransformerModel(Tiny.Config with { Mlp = new GeluMlpConfig { Bias = true }, Norm = new LayerNormConfig() });
        foreach (var (name, parameter) in model.named_parameters())
            if (parameter.dim() < 2)
                Assert.All(parameter.data<float>(), value => Assert.Equal(name.EndsWith("bias", StringComparison.Ordinal) ? 0 : 1, value));
    }

    [Fact]
    public void Decays_of_linear_attention_start_at_rates_up_to_sixteen_and_steps_between_a_thousandth_and_a_tenth()
    {
        using var model = new TransformerModel(Large with { Attention = new LinearAttentionConfig { Heads = 256 } });
        var rates = model.Weight("model.layers.0.self_attn.A_log").exp();
        var steps = TorchSharp.torch.nn.functional.softplus(model.Weight("model.layers.0.self_attn.dt_bias"));
        Assert.InRange(rates.min().item<float>(), 0, 1);
        Assert.InRange(rates.max().item<float>(), 15, 16);
        Near.Equal(8, rates.mean().item<float>(), 1);
        Assert.InRange(steps.min().item<float>(), 0.000999, 0.0012);
        Assert.InRange(steps.max().item<float>(), 0.08, 0.1001);
        Near.Equal(Math.Log(0.01), steps.log().mean().item<float>(), 0.3);

        var convolution = model.Weight("model.layers.0.self_attn.k_conv1d.weight");
        Assert.InRange(convolution.abs().max().item<float>(), 0.45, 0.5);    // 1 / sqrt(4)
        using var space = new ParameterSpace(model);
        Assert.All(
            space.Parameters.Where(parameter => parameter.Name.EndsWith("A_log") || parameter.Name.EndsWith("dt_bias")), parameter =>
                Assert.False(parameter.Decays));
    }

    [Fact]
    public void With_zero_projections_and_a_zero_head_every_token_is_equally_likely()
    {
        using var model = new TransformerModel(
            Tiny.Config with { TiedHead = false, Initialization = new ZeroProjectionInitializationConfig() });
        var ids = Tiny.Ids(2, 5);
        var logits = model.call(ids, null);
        Near.Equal(zeros_like(logits), logits, 0, "logits");
        Near.Equal(Math.Log(13), LanguageModelLoss.CrossEntropy(logits, ids).item<float>(), 1e-6, "loss");
    }

    [Fact]
    public void With_zero_projections_every_block_is_the_identity()
    {
        using var model = new TransformerModel(Tiny.Config with { Initialization = new ZeroProjectionInitializationConfig() });
        using var shallow = new TransformerModel(model.Config with { Layers = 0 });
        Tiny.CopyWeights(model, shallow);
        var ids = Tiny.Ids(2, 5);
        Near.Equal(shallow.Hidden(ids), model.Hidden(ids), 0);
    }

    [Fact]
    public void Matrices_that_are_not_projections_keep_the_variance_of_their_input()
    {
        using var model = new TransformerModel(Large with { Initialization = new ZeroProjectionInitializationConfig() });
        Near.Equal(1 / Math.Sqrt(256), model.Weight("model.layers.1.self_attn.q_proj.weight").std().item<float>(), 0.002);
        Near.Equal(0.02, model.Weight("model.embed_tokens.weight").std().item<float>(), 0.0005);
    }

    [Fact]
    public void Xavier_draws_matrices_by_their_shape_and_none_by_its_depth()
    {
        using var model = new TransformerModel(Large with { Initialization = new XavierInitializationConfig { Deviation = 0.05 } });
        foreach (var (name, parameter) in model.named_parameters())
        {
            if (parameter.dim() < 2) continue;
            var deviation = name.Contains("embed", StringComparison.Ordinal) ? 0.05
                : Math.Sqrt(2.0 / (parameter.shape[0] + parameter.shape[1]));
            Near.Equal(deviation, parameter.std().item<float>(), 0.03 * deviation, name);
        }
    }

    [Theory]
    [InlineData("gpt2")]
    [InlineData("xavier")]
    public void Under_deep_norm_values_outputs_and_mlps_start_smaller_by_the_fourth_root_of_eight_times_the_depth(string kind)
    {
        var config = Large with { Initialization = kind == "gpt2" ? new Gpt2InitializationConfig() : new XavierInitializationConfig() };
        using var plain = new TransformerModel(config with { Residual = new PostNormResidualConfig() });
        using var deep = new TransformerModel(config with { Residual = new DeepNormResidualConfig() });
        string[] scaled = ["v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];
        foreach (var (name, parameter) in plain.named_parameters())
        {
            if (parameter.dim() < 2) continue;
            var factor = scaled.Any(name.Contains) ? 2 : 1;    // (8 x 2)^(1/4) = 2
            Near.Equal(factor, parameter.std().item<float>() / deep.Weight(name).std().item<float>(), 0.05, name);
        }
    }

    [Fact]
    public void Under_deep_norm_experts_start_smaller_and_their_router_does_not()
    {
        var config = Large with { Mlp = Tiny.Mixture with { Expert = new ReluMlpConfig() } };
        using var plain = new TransformerModel(config);
        using var deep = new TransformerModel(config with { Residual = new DeepNormResidualConfig() });
        double Ratio(string name) => plain.Weight(
            $"model.layers.1.mlp.{name}.weight").std().item<float>() / deep.Weight($"model.layers.1.mlp.{name}.weight").std().item<float>();
        Near.Equal(2, Ratio("experts.3.up_proj"), 0.05);
        Near.Equal(1, Ratio("gate"), 0.1);    // of 1,024 numbers
    }

    [Fact]
    public void Under_mup_a_few_steps_move_logits_alike_at_every_width()
    {
        var mup = Movement(64, new MupInitializationConfig { BaseWidth = 64 });
        Assert.InRange(Movement(1024, new MupInitializationConfig { BaseWidth = 64 }) / mup, 0.5, 2);
        Assert.InRange(Movement(256, new MupInitializationConfig { BaseWidth = 64 }) / mup, 0.5, 2);
    }

    [Fact]
    public void Without_mup_a_wider_model_moves_further()
    {
        Assert.True(Movement(1024, new Gpt2InitializationConfig()) > 3 * Movement(64, new Gpt2InitializationConfig()));
    }

    // The root mean square of the change of the logits in three AdamW steps (the coordinate check of Yang et al. 2022, appendix D.1).
    private static double Movement(int width, InitializationConfig initialization)
    {
        manual_seed(1);
        using var scope = NewDisposeScope();
        using var model = new TransformerModel(
            Tiny.Config with { Width = width, VocabularySize = 64, Initialization = initialization, TiedHead = false });
        using var space = new ParameterSpace(model);
        using var optimizer = Optimizer.FromConfig(new AdamWConfig { LearningRate = 3e-3, WeightDecay = 0 }, space);
        var (ids, targets) = (randint(0, 64, [4, 12]), randint(0, 64, [4, 12]));
        var before = model.call(ids, null).detach();
        for (var step = 0; step < 3; step++)
        {
            space.ZeroGradients();
            LanguageModelLoss.CrossEntropy(model.call(ids, null), targets).backward();
            optimizer.Step(1);
        }
        return (model.call(ids, null) - before).square().mean().sqrt().item<float>();
    }
}
