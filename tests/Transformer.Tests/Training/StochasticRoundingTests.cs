using Transformer.Model;
using Transformer.Runs;
using Transformer.Training;
using static TorchSharp.torch;

namespace Transformer.Tests.Training;

public sealed class StochasticRoundingTests
{
    [Fact]
    public void The_kernel_rounds_as_libtorch_s_operators_do()
    {
        using var x = randn(1003) * pow(10, 8 * randn(1003));
        using var rounded = zeros(1003, ScalarType.BFloat16);
        StochasticRounding.Store(x, rounded, seed: 7, first: 4_294_967_000);    // indices on both sides of 2^32
        using var expected = StochasticRounding.Explicit(x, seed: 7, first: 4_294_967_000);
        Near.Equal(expected, rounded, 0);
    }

    [Fact]
    public void Numbers_go_to_one_of_their_two_neighbours_and_keep_their_mean()
    {
        const float Number = 1 + 0.3f / 128;    // three tenths of the way from 1 to the next
        using var x = full(100_000, Number);
        using var rounded = zeros(100_000, ScalarType.BFloat16);
        foreach (var seed in (long[])[0, 1, 12345])
        {
            StochasticRounding.Store(x, rounded, seed, first: 0);
            var ups = (rounded.to(ScalarType.Float32) > 1).to(ScalarType.Float32).mean().item<float>();
            Assert.Equal(1, rounded.to(ScalarType.Float32).min().item<float>());
            Assert.Equal(1 + 1f / 128, rounded.to(ScalarType.Float32).max().item<float>());
            Near.Equal(0.3, ups, 0.006, "share that went up");    // four standard deviations
        }
    }

    [Fact]
    public void Numbers_of_bf16_stay_as_they_are()
    {
        using var x = randn(64).to(ScalarType.BFloat16);
        using var again = zeros_like(x);
        StochasticRounding.Store(x.to(ScalarType.Float32), again, seed: 3, first: 0);
        Near.Equal(x, again, 0);
    }

    [Fact]
    public void A_mean_that_changes_by_a_thousandth_a_step_falls_as_it_should()
    {
        // Rounded to the nearest it would never fall: a thousandth is less than half a unit of the eighth bit.
        using var model = new TransformerModel(Tiny.Config);
        using var space = new ParameterSpace(model);
        using var optimizer = Optimizer.FromConfig(
            new AdamWConfig { LearningRate = 1e-6, Beta2 = 0.999, StatePrecision = StatePrecision.Bf16 }, space);
        space.Gradients.fill_(1);
        optimizer.Step(1);
        var squares = optimizer.State.First(state => state.Name.Contains("squares", StringComparison.Ordinal)).Value;
        Assert.Equal(ScalarType.BFloat16, squares.dtype);
        space.Gradients.zero_();
        for (var step = 0; step < 300; step++) optimizer.Step(1);
        Near.Equal(1e-3 * Math.Pow(0.999, 300), squares.to(ScalarType.Float32).mean().item<float>(), 5e-6);
    }

    [Fact]
    public void AdamW_with_rounded_moments_follows_AdamW()
    {
        var config = new AdamWConfig { LearningRate = 1e-2 };
        var (exact, rounded) = (Train(config), Train(config with { StatePrecision = StatePrecision.Bf16 }));
        var moved = (exact.After - exact.Before).norm().item<float>();
        Assert.InRange((rounded.After - exact.After).norm().item<float>() / moved, 1e-6, 0.02);    // other, but little

        static (Tensor Before, Tensor After) Train(AdamWConfig config)
        {
            manual_seed(1);
            using var model = new TransformerModel(Tiny.Config);
            using var space = new ParameterSpace(model);
            using var optimizer = Optimizer.FromConfig(config, space);
            using var _ = no_grad();
            var before = space.Values.clone();
            for (var step = 0; step < 20; step++)
            {
                space.Gradients.copy_(randn_like(space.Gradients) + linspace(-1, 1, space.Gradients.numel()));
                optimizer.Step(1);
            }
            return (before, space.Values.clone());
        }
    }
}
