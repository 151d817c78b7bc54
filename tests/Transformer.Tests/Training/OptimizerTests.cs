using TorchSharp.Modules;
using Transformer.Configuration;
using Transformer.Model;
using Transformer.Runs;
using Transformer.Training;
using static TorchSharp.torch;

namespace Transformer.Tests.Training;

public sealed class OptimizerTests
{
    [Fact]
    public void AdamW_is_torch_s_AdamW_step_by_step()
    {
        var (ours, theirs) = Twins(Tiny.Config with { Norm = new LayerNormConfig(), Mlp = new GeluMlpConfig { Bias = true } });
        using var space = new ParameterSpace(ours);
        using var optimizer = Optimizer.FromConfig(
            new AdamWConfig { LearningRate = 1e-2, Beta1 = 0.8, Beta2 = 0.9, WeightDecay = 0.3, Epsilon = 1e-6 }, space);
        var groups = theirs.parameters().GroupBy(parameter => parameter.dim() >= 2)
            .Select(alike => new TorchSharp.Modules.AdamW.ParamGroup(
                alike, lr: 1e-2, beta1: 0.8, beta2: 0.9, eps: 1e-6, weight_decay: alike.Key ? 0.3 : 0));
        var reference = optim.AdamW(groups, lr: 1e-2);
        for (var step = 0; step < 5; step++)
        {
            var schedule = 1.0 / (step + 1);
            foreach (var group in reference.ParamGroups) group.LearningRate = 1e-2 * schedule;
            var ids = Tiny.Ids(3, 8);
            Backward(ours, ids);
            theirs.zero_grad();
            Backward(theirs, ids);
            optimizer.Step(schedule);
            reference.step();
            space.ZeroGradients();
            foreach (var (name, parameter) in theirs.named_parameters())
                Near.Equal(parameter, ours.Weight(name), 2e-5, $"step {step}, {name}");
        }
    }

    [Fact]
    public void A_gradient_scale_divides_the_gradients()
    {
        var (scaled, plain) = Twins(Tiny.Config);
        using var scaledSpace = new ParameterSpace(scaled);
        using var plainSpace = new ParameterSpace(plain);
        var config = new AdamWConfig { LearningRate = 1e-2, Epsilon = 1 };    // so large that the size of a gradient matters
        using var scaledOptimizer = Optimizer.FromConfig(config, scaledSpace);
        using var plainOptimizer = Optimizer.FromConfig(config, plainSpace);
        var ids = Tiny.Ids(3, 8);
        Backward(scaled, ids);
        Backward(plain, ids);
        plainSpace.Gradients.div_(4);
        scaledOptimizer.Step(1, tensor(4f));
        plainOptimizer.Step(1);
        Near.Equal(plainSpace.Values, scaledSpace.Values, 1e-7);
    }

    [Fact]
    public void A_learning_rate_rule_scales_the_step()
    {
        var (half, full) = Twins(Tiny.Config);
        const string name = "model.layers.1.mlp.up_proj.weight";
        var before = half.Weight(name).detach().clone();
        using var halfSpace = new ParameterSpace(half, [new ParameterRule { Pattern = name, LearningRateScale = 0.5 }]);
        using var fullSpace = new ParameterSpace(full);
        var ids = Tiny.Ids(3, 8);
        foreach (var (model, space) in ((TransformerModel, ParameterSpace)[])[(half, halfSpace), (full, fullSpace)])
        {
            using var optimizer = Optimizer.FromConfig(new AdamWConfig { LearningRate = 1e-2 }, space);
            Backward(model, ids);
            optimizer.Step(1);
        }
        Near.Equal((full.Weight(name) - before) / 2, half.Weight(name) - before, 1e-6);
    }

    [Theory]
    [InlineData(64, 16)]
    [InlineData(16, 64)]
    public void Orthogonalizing_brings_singular_values_near_one_and_keeps_singular_vectors(long rows, long columns)
    {
        var x = randn(3, rows, columns);
        var y = Muon.Orthogonalize(x, steps: 5);
        var sizes = linalg.svdvals(y);
        Assert.InRange(sizes.min().item<float>(), 0.6, 1.3);
        Assert.InRange(sizes.max().item<float>(), 0.6, 1.3);
        var (u, _, vh) = linalg.svd(x, fullMatrices: false);
        var turned = matmul(matmul(u.transpose(1, 2), y), vh.transpose(1, 2));    // diagonal if the singular vectors are the same
        Near.Equal(diag_embed(turned.diagonal(0, 1, 2)), turned, 1e-3);
    }

    [Fact]
    public void Muon_is_its_plain_form_matrix_by_matrix_and_AdamW_elsewhere()
    {
        var (ours, theirs) = Twins(Tiny.Config);
        using var space = new ParameterSpace(ours);
        using var reference = new ParameterSpace(theirs);
        var config = new MuonConfig { LearningRate = 0.02, WeightDecay = 0.1, Momentum = 0.9 };
        using var muon = Optimizer.FromConfig(config, space);
        using var adamw = Optimizer.FromConfig(config.Adamw, reference);
        var hidden = theirs.named_parameters().Where(parameter => parameter.name.Contains("_proj"))
            .ToDictionary(parameter => parameter.name, parameter => parameter.parameter);
        var momenta = hidden.ToDictionary(parameter => parameter.Key, parameter => zeros_like(parameter.Value));
        for (var step = 0; step < 3; step++)
        {
            var ids = Tiny.Ids(3, 8);
            Backward(ours, ids);
            Backward(theirs, ids);
            muon.Step(0.5);
            PlainMuon(hidden, momenta, config, 0.5, () => adamw.Step(0.5));
            Assert.All(
                theirs.named_parameters(), parameter =>
                    Near.Equal(parameter.parameter, ours.Weight(parameter.name), 1e-4, $"step {step}, {parameter.name}"));
            space.ZeroGradients();
            reference.ZeroGradients();
        }
    }

    [Fact]
    public void Under_mup_only_AdamW_s_rate_falls_with_the_width()
    {
        Assert.Equal(0.25, Movement(new AdamWConfig { LearningRate = 1e-2 }), 1e-3);
        Assert.Equal(1, Movement(new MuonConfig { LearningRate = 1e-2 }), 1e-3);

        // The size of a step of a hidden matrix, relative to that without muP.
        static double Movement(OptimizerConfig config)
        {
            InitializationConfig[] kinds = [new MupInitializationConfig { BaseWidth = 4 }, new Gpt2InitializationConfig()];
            var moved = kinds.Select(kind =>
            {
                using var model = new TransformerModel(Tiny.Config with { Initialization = kind });
                using var space = new ParameterSpace(model);
                using var optimizer = Optimizer.FromConfig(config with { WeightDecay = 0 }, space);
                using var _ = no_grad();
                var before = model.Weight("model.layers.0.self_attn.q_proj.weight").clone();
                space.Gradients.copy_(linspace(-1, 1, space.Gradients.numel()).sin());
                optimizer.Step(1);
                return (model.Weight("model.layers.0.self_attn.q_proj.weight") - before).norm().item<float>();
            }).ToArray();
            return moved[0] / moved[1];
        }
    }

    [Fact]
    public void Under_mup_a_step_shrinks_hidden_matrices_by_rate_times_decay_whatever_the_width()
    {
        Shrinks(new AdamWConfig { LearningRate = 1e-2, WeightDecay = 0.5 });
        Shrinks(new AdamWConfig { LearningRate = 1e-2, WeightDecay = 0.5, StatePrecision = StatePrecision.Bf16 });
        Shrinks(new MuonConfig { LearningRate = 1e-2, WeightDecay = 0.5 });

        // Without a gradient only the decay moves a matrix.
        static void Shrinks(OptimizerConfig config)
        {
            using var model = new TransformerModel(Tiny.Config with { Initialization = new MupInitializationConfig { BaseWidth = 4 } });
            using var space = new ParameterSpace(model);
            using var optimizer = Optimizer.FromConfig(config, space);
            using var _ = no_grad();
            var hidden = space.Parameters.Where(parameter => parameter.WidthScale < 1).ToList();
            Assert.NotEmpty(hidden);
            var before = hidden.Select(parameter => parameter.Value.clone()).ToList();
            optimizer.Step(1);
            foreach (var (parameter, value) in hidden.Zip(before))
                Near.Equal(value * (1 - 1e-2 * 0.5), parameter.Value, 1e-6, $"{config}, {parameter.Name}");
        }
    }

    // The rest of the parameters is updated by AdamW; its change of hidden matrices is overwritten with Muon's result.
    private static void PlainMuon(
        Dictionary<string, Parameter> hidden, Dictionary<string, Tensor> momenta, MuonConfig config, double schedule, Action stepRest)
    {
        using var _ = no_grad();
        var results = new List<(Parameter Parameter, Tensor Value)>();
        foreach (var (name, parameter) in hidden)
        {
            momenta[name] = config.Momentum * momenta[name] + (1 - config.Momentum) * parameter.grad!;
            var x = (1 - config.Momentum) * parameter.grad! + config.Momentum * momenta[name];
            var transposed = x.shape[0] > x.shape[1];
            if (transposed) x = x.t();
            x = x / x.norm();
            for (var i = 0; i < config.NewtonSchulzSteps; i++)
            {
                var a = x.mm(x.t());
                x = 3.4445 * x + (-4.7750 * a + 2.0315 * a.mm(a)).mm(x);
            }
            if (transposed) x = x.t();
            var rate = config.LearningRate * schedule;
            results.Add((parameter, parameter * (1 - rate * config.WeightDecay) - rate * Math.Sqrt(
                Math.Max(1.0, (double)x.shape[0] / x.shape[1])) * x));
        }
        stepRest();
        foreach (var (parameter, value) in results) parameter.copy_(value);
    }

    private static void Backward(TransformerModel model, Tensor ids) =>
        LanguageModelLoss.CrossEntropy(model.call(ids, null), ids.roll(1, 1)).backward();

    private static (TransformerModel First, TransformerModel Second) Twins(ModelConfig config)
    {
        var (first, second) = (new TransformerModel(config), new TransformerModel(config));
        Tiny.CopyWeights(first, second);
        return (first, second);
    }
}
