using Transformer.Configuration;
using Transformer.Model;
using Transformer.Native;
using Transformer.Runs;
using Transformer.Training;
using static TorchSharp.torch;

namespace Transformer.Tests.Training;

public sealed class ParameterSpaceTests
{
    private const string Query = "model.layers.0.self_attn.q_proj.weight";

    [Fact]
    public void Names_shapes_values_and_logits_survive_the_move_into_the_space()
    {
        using var model = new TransformerModel(Tiny.Config);
        var before = model.named_parameters().Select(parameter => (parameter.name, Value: parameter.parameter.detach().clone())).ToList();
        var ids = Tiny.Ids(2, 5);
        var logits = model.call(ids, null);

        using var space = new ParameterSpace(model);
        Assert.Equal(before.Select(parameter => parameter.name), model.named_parameters().Select(parameter => parameter.name));
        foreach (var (name, value) in before) Near.Equal(value, model.Weight(name), 0, name);
        Near.Equal(logits, model.call(ids, null), 0, "logits");
    }

    [Fact]
    public void Parameters_and_gradients_are_views_of_the_buffers_on_64_byte_boundaries()
    {
        using var model = new TransformerModel(Tiny.Config);
        using var space = new ParameterSpace(model);
        Assert.Equal(
            model.named_parameters().Select(parameter => parameter.name).Order(),
            space.Parameters.Select(parameter => parameter.Name).Order());
        long end = 0;
        foreach (var parameter in space.Parameters)
        {
            Assert.Equal(end, parameter.Offset);
            Assert.Equal(0, parameter.Offset * sizeof(float) % 64);
            Assert.Equal(Aten.DataPointer(space.Values) + (nint)parameter.Offset * sizeof(float), Aten.DataPointer(parameter.Value));
            Assert.Equal(Aten.DataPointer(space.Gradients) + (nint)parameter.Offset * sizeof(float), Aten.DataPointer(parameter.Gradient!));
            end += parameter.Length;
        }
        Assert.Equal(space.Values.numel(), end);
        Assert.Equal(0, Aten.DataPointer(space.Values) % 64);
    }

    [Fact]
    public void Backward_passes_add_up_in_the_space_until_it_is_zeroed()
    {
        using var model = new TransformerModel(Tiny.Config);
        using var space = new ParameterSpace(model);
        var ids = Tiny.Ids(2, 5);
        void Backward() => LanguageModelLoss.CrossEntropy(model.call(ids, null), ids).backward();

        Backward();
        var once = space.Gradients.clone();
        Assert.NotEqual(0, once.abs().sum().item<float>());
        Near.Equal(once.norm().item<float>(), space.GradientNorm(), 1e-6);
        Backward();
        Near.Equal(2 * once, space.Gradients, 1e-6);
        space.ZeroGradients();
        Near.Equal(zeros_like(once), space.Gradients, 0);
        Backward();
        Near.Equal(once, space.Gradients, 1e-6);
    }

    [Fact]
    public void A_gradient_that_left_the_space_is_noticed()
    {
        using var model = new TransformerModel(Tiny.Config);
        using var space = new ParameterSpace(model);
        var query = model.Weight(Query);
        query.grad = zeros_like(query);
        Assert.Contains(Query, Assert.Throws<InvalidOperationException>(space.ZeroGradients).Message);
    }

    [Fact]
    public void Frozen_parameters_stay_as_they_are_and_the_others_learn()
    {
        using var model = new TransformerModel(Tiny.Config);
        var before = model.named_parameters().ToDictionary(parameter => parameter.name, parameter => parameter.parameter.detach().clone());
        using var space = new ParameterSpace(model, [new ParameterRule { Pattern = "model.layers.0.*", Frozen = true }]);
        using var optimizer = Optimizer.FromConfig(new AdamWConfig { LearningRate = 1e-2 }, space);
        LanguageModelLoss.CrossEntropy(model.call(Tiny.Ids(2, 5), null), Tiny.Ids(2, 5)).backward();
        optimizer.Step(1);
        foreach (var (name, value) in before)
            Assert.Equal(name.StartsWith("model.layers.0.", StringComparison.Ordinal), Near.Distance(value, model.Weight(name)) == 0);
    }

    [Fact]
    public void The_first_rule_that_matches_sets_the_learning_rate()
    {
        using var model = new TransformerModel(Tiny.Config);
        using var space = new ParameterSpace(model,
        [
            new ParameterRule { Pattern = "*.q_proj.weight", LearningRateScale = 0.5 },
            new ParameterRule { Pattern = "model.layers.1.*", LearningRateScale = 0.25 },
        ]);
        var scales = space.Parameters.ToDictionary(parameter => parameter.Name, parameter => parameter.LearningRateScale);
        Assert.Equal(0.5, scales["model.layers.1.self_attn.q_proj.weight"]);
        Assert.Equal(0.25, scales["model.layers.1.self_attn.k_proj.weight"]);
        Assert.Equal(1, scales["model.layers.0.self_attn.k_proj.weight"]);
    }

    [Fact]
    public void Under_mup_the_learning_rate_of_hidden_matrices_falls_with_the_width()
    {
        using var model = new TransformerModel(Tiny.Config with { Initialization = new MupInitializationConfig { BaseWidth = 4 } });
        using var space = new ParameterSpace(model);
        foreach (var parameter in space.Parameters)
            Assert.Equal(parameter.Name.Contains("_proj") ? 0.25 : 1, parameter.WidthScale);
    }

    [Fact]
    public void A_rule_for_no_parameter_is_refused_before_anything_is_moved()
    {
        using var model = new TransformerModel(Tiny.Config);
        var address = Aten.DataPointer(model.Weight(Query));
        var error = Assert.Throws<InputException>(() => new ParameterSpace(model, [new ParameterRule { Pattern = "layers.0.*" }]));
        Assert.Contains("no parameter is called layers.0.*", error.Message);
        Assert.Equal(address, Aten.DataPointer(model.Weight(Query)));
    }

    [Fact]
    public void Freezing_everything_is_refused()
    {
        using var model = new TransformerModel(Tiny.Config);
        Assert.Throws<InputException>(() => new ParameterSpace(model, [new ParameterRule { Pattern = "*", Frozen = true }]));
    }

    [Fact]
    public void Matrices_decay_and_norms_and_biases_do_not()
    {
        using var model = new TransformerModel(Tiny.Config with { Mlp = new GeluMlpConfig { Bias = true }, Norm = new LayerNormConfig() });
        using var space = new ParameterSpace(model);
        foreach (var parameter in space.Parameters)
            Assert.Equal(!parameter.Name.EndsWith("bias", StringComparison.Ordinal) && !parameter.Name.Contains("norm"), parameter.Decays);
    }
}
