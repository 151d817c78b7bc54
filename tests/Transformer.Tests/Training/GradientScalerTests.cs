using Transformer.Data;
using Transformer.Model;
using Transformer.Runs;
using Transformer.Training;
using static TorchSharp.torch;

namespace Transformer.Tests.Training;

public sealed class GradientScalerTests
{
    private static readonly Batch Batch = new([1, 2, 3, 4, 5, 6], [2, 3, 4, 5, 6, 7], Rows: 2, Columns: 3);

    private static readonly TrainingConfig Config = new()
    {
        Steps = 10,
        BatchSize = 2,
        GradientClip = 0.1,
        ZLoss = 1e-4,
        Precision = Precision.Fp16,
        Optimizer = new AdamWConfig { LearningRate = 1e-2 },
    };

    public GradientScalerTests() => manual_seed(1);

    public static TheoryData<string, Precision> Kinds => new(
        from kind in Tiny.Models.Keys from precision in (Precision[])[Precision.Fp32, Precision.Bf16] select (kind, precision));

    public static TheoryData<string> Optimizers => ["adamw", "muon"];

    // In types of fp32's range, where nothing of this size leaves it.
    [Theory, MemberData(nameof(Kinds))]
    public void A_power_of_two_gives_bit_equal_gradients_back(string kind, Precision precision)
    {
        using var model = Tiny.Model(kind);
        model.Precision = precision;
        using var space = new ParameterSpace(model);
        var ids = Tiny.Ids(2, 9);
        var scaler = new GradientScaler();

        Loss().backward();
        var plain = space.Gradients.clone();
        space.ZeroGradients();
        scaler.Scaled(Loss()).backward();
        Near.Equal(65536 * plain, space.Gradients, 0, "scaled");
        Assert.True(scaler.Unscale([space.Gradients]));
        Near.Equal(plain, space.Gradients, 0, "unscaled");

        Tensor Loss() => LanguageModelLoss.CrossEntropy(model.call(ids, null), ids.roll(-1, 1));
    }

    [Fact]
    public void A_step_is_clipped_by_the_unscaled_gradient()
    {
        var (scaled, plain) = (Step(new GradientScaler()), Step(null));
        Assert.Equal(plain.Result, scaled.Result);
        Assert.True(plain.Result.GradientNorm > Config.GradientClip);
        Near.Equal(plain.Values, scaled.Values, 0);

        static (TrainingStep.Result Result, Tensor Values) Step(GradientScaler? scaler)
        {
            manual_seed(2);
            using var model = Tiny.Model("rope");
            using var space = new ParameterSpace(model);
            using var optimizer = Optimizer.FromConfig(Config.Optimizer, space);
            return (new TrainingStep(model, space, optimizer, Config) { Scaler = scaler }.Run(1, [Batch, Batch]), space.Values.clone());
        }
    }

    [Fact]
    public void Gradients_too_small_for_fp16_are_lost_without_a_scale_and_kept_with_one()
    {
        using var layer = new Transformer.Layers.Linear(4, 4, hasBias: false);
        var x = ones(1, 4, float16);
        Assert.Equal(0, Gradient(scale: 1));
        Near.Equal(1e-8, Gradient(GradientScaler.FirstScale), 1e-11);

        double Gradient(double scale)
        {
            var scaler = new GradientScaler(scale);
            layer.Weight("weight").grad = zeros(4, 4);
            scaler.Scaled(layer.call(x).to(float32).sum() * 1e-8).backward();
            Assert.True(scaler.Unscale(layer.parameters().Select(parameter => parameter.grad)));
            return layer.Weight("weight").grad!.max().item<float>();
        }
    }

    [Fact]
    public void The_scale_doubles_after_2000_good_steps_in_a_row_and_halves_at_an_overflow()
    {
        var scaler = new GradientScaler();
        Good(1999);
        Assert.Equal((65536, 1999), (scaler.Scale, scaler.GoodSteps));
        Good(1);
        Assert.Equal((131072, 0), (scaler.Scale, scaler.GoodSteps));
        Good(1999);
        scaler.Update(finite: false);
        Assert.Equal((65536, 0), (scaler.Scale, scaler.GoodSteps));
        Good(1999);
        Assert.Equal(65536, scaler.Scale);

        void Good(int steps)
        {
            for (var step = 0; step < steps; step++) scaler.Update(finite: true);
        }
    }

    [Fact]
    public void Overflows_down_to_the_least_scale_and_one_more_are_an_error()
    {
        var scaler = new GradientScaler();
        for (var halving = 0; halving < 16; halving++) scaler.Update(finite: false);
        Assert.Equal(GradientScaler.LeastScale, scaler.Scale);
        scaler.Update(finite: true);
        Assert.Contains("overflow fp16", Assert.Throws<NonFiniteLossException>(() => scaler.Update(finite: false)).Message);
    }

    [Theory]
    [InlineData(float.PositiveInfinity)]
    [InlineData(float.NaN)]
    public void One_number_that_is_not_finite_is_found_among_many(float planted)
    {
        var gradients = new[] { randn(3, 5), randn(1000) };
        Assert.True(new GradientScaler().Unscale([.. gradients, null]));
        gradients[1][777] = planted;
        Assert.False(new GradientScaler().Unscale([.. gradients, null]));
    }

    [Theory, MemberData(nameof(Optimizers))]
    public void A_step_that_overflows_leaves_parameters_and_moments_bit_identical_and_the_next_is_taken(string rule)
    {
        using var model = Tiny.Model("rope");
        model.Precision = Precision.Fp16;
        using var space = new ParameterSpace(model);
        OptimizerConfig config = rule == "muon" ? new MuonConfig { LearningRate = 1e-2 } : Config.Optimizer;
        using var optimizer = Optimizer.FromConfig(config, space);
        var scaler = new GradientScaler(scale: 1024);
        Assert.True(Step().IsFinite);

        var before = Remembered();
        using (no_grad()) space.Gradients[7] = float.PositiveInfinity;
        Assert.False(Step().IsFinite);
        Assert.Equal(512, scaler.Scale);
        foreach (var (name, value) in Remembered()) Near.Equal(before[name], value, 0, name);
        Assert.Equal(0, space.Gradients.abs().max().item<float>());

        Assert.True(Step().IsFinite);
        Assert.Equal(1, scaler.GoodSteps);
        foreach (var (name, value) in Remembered()) Assert.True(Near.Distance(before[name], value) > 0, $"{name} has not changed");

        TrainingStep.Result Step() => new TrainingStep(model, space, optimizer, Config) { Scaler = scaler }.Run(1, [Batch]);
        Dictionary<string, Tensor> Remembered() =>
            optimizer.State.Append(("parameters", space.Values)).ToDictionary(state => state.Item1, state => state.Item2.clone());
    }

    [Fact]
    public void A_scale_that_is_too_high_comes_down_until_steps_are_taken()
    {
        using var model = Tiny.Model("rope");
        model.Precision = Precision.Fp16;
        using var space = new ParameterSpace(model);
        using var optimizer = Optimizer.FromConfig(Config.Optimizer, space);
        var scaler = new GradientScaler(scale: Math.Pow(2, 40));
        var before = space.Values.clone();
        var skipped = 0;
        for (; !new TrainingStep(model, space, optimizer, Config) { Scaler = scaler }.Run(1, [Batch]).IsFinite; skipped++)
            Near.Equal(before, space.Values, 0);
        Assert.InRange(skipped, 10, 35);
        Assert.Equal(Math.Pow(2, 40 - skipped), scaler.Scale);
        Assert.True(Near.Distance(before, space.Values) > 0);
    }

    [Fact]
    public void Any_model_of_torch_s_trains_under_it_as_without()
    {
        Near.Equal(Trained(null), Trained(new GradientScaler()), 0);

        static Tensor Trained(GradientScaler? scaler)
        {
            manual_seed(4);
            using var model = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1));
            using var optimizer = optim.SGD(model.parameters(), 0.1, momentum: 0.9);
            var x = randn(16, 3);
            for (var step = 0; step < 5; step++)
            {
                optimizer.zero_grad();
                var loss = model.call(x).square().mean();
                (scaler?.Scaled(loss) ?? loss).backward();
                var finite = scaler?.Unscale(model.parameters().Select(parameter => parameter.grad)) ?? true;
                if (finite) optimizer.step();
                scaler?.Update(finite);
            }
            return cat([.. model.parameters().Select(parameter => parameter.detach().flatten())]);
        }
    }
}
