using Transformer.Comparison;
using Transformer.Configuration;

namespace Transformer.Tests.Comparison;

public sealed class ScalingFitTests
{
    [Fact]
    public void The_constants_of_a_law_without_noise_are_found()
    {
        var fit = ScalingFit.Of(Points(noise: 0));
        Assert.Equal(1.69, fit.Irreducible.Value, 0.02);
        Assert.Equal(0.34, fit.Parameters!.Exponent.Value, 0.01);
        Assert.Equal(0.28, fit.Tokens!.Exponent.Value, 0.01);
        Assert.Equal(Law(3e8, 3e9), fit.At(3e8, 3e9), 0.01);
    }

    [Fact]
    public void The_intervals_of_a_noisy_law_hold_the_true_exponents_and_widen_with_the_noise()
    {
        var (little, much) = (ScalingFit.Of(Points(noise: 0.002)), ScalingFit.Of(Points(noise: 0.01)));
        Assert.InRange(0.34, little.Parameters!.Exponent.Low, little.Parameters.Exponent.High);
        Assert.InRange(0.28, little.Tokens!.Exponent.Low, little.Tokens.Exponent.High);
        Assert.True(Width(much.Tokens!.Exponent) > Width(little.Tokens.Exponent));
        static double Width(Interval interval) => interval.High - interval.Low;
    }

    [Fact]
    public void A_quantity_that_is_the_same_in_all_runs_has_no_term()
    {
        var fit = ScalingFit.Of([.. Sizes.Select(n => new ScalingPoint(n, 1e9, Law(n, 1e9)))]);
        Assert.Null(fit.Tokens);
        Assert.Equal(0.34, fit.Parameters!.Exponent.Value, 0.02);
    }

    [Fact]
    public void Intervals_hold_the_true_exponent_in_most_laws_of_five_sizes_and_three_seeds()
    {
        var random = new Random(5);
        var held = Enumerable.Range(0, 40).Count(_ =>
        {
            var points = Sizes.SelectMany(n => Enumerable.Range(0, 3).Select(
                _ => new ScalingPoint(n, 1e9, Law(n, 1e9) * (1 + 0.003 * (2 * random.NextDouble() - 1)))));
            var exponent = ScalingFit.Of([.. points]).Parameters!.Exponent;
            return exponent.Low <= 0.34 && 0.34 <= exponent.High;
        });
        Assert.InRange(held, 34, 40);
    }

    [Fact]
    public void Too_few_sizes_are_refused()
    {
        Assert.Contains("four or more", Assert.Throws<InputException>(
            () => ScalingFit.RequireSizes([(1e6, 1e9), (2e6, 1e9), (4e6, 1e9)])).Message);
        Assert.Null(ScalingFit.TryOf([new(1e6, 1e9, 3), new(2e6, 1e9, 2.9), new(4e6, 1e9, 2.8)]));
    }

    private static readonly double[] Sizes = [1e7, 3e7, 1e8, 3e8, 1e9];

    // The constants of Hoffmann et al. 2022.
    private static double Law(double n, double d) => 1.69 + 406.4 * Math.Pow(n, -0.34) + 410.7 * Math.Pow(d, -0.28);

    private static ScalingPoint[] Points(double noise)
    {
        var random = new Random(1);
        return [.. Sizes.SelectMany(n => Sizes.Select(d =>
            new ScalingPoint(n, 20 * d, Law(n, 20 * d) * (1 + noise * (2 * random.NextDouble() - 1)))))];
    }
}
