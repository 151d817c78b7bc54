using Transformer.Reproductions;
using static TorchSharp.torch;

namespace Transformer.Tests.Reproductions;

public sealed class ResidualGradientsTests
{
    [Fact]
    public void Gradients_fall_with_the_root_of_the_depth_under_pre_norm_and_stay_under_post_norm()
    {
        var threads = get_num_threads();
        var result = ResidualGradients.Run(seed: 1, seeds: 3, depths: [4, 8, 16], TestContext.Current.CancellationToken);
        Near.Equal(-0.5, result.PreNormSlope, 0.1, "pre-norm");
        Near.Equal(0, result.PostNormSlope, 0.1, "post-norm");
        Assert.Equal([4, 8, 16], result.Rows.Select(row => row.Layers));
        Assert.Equal(threads, get_num_threads());
    }

    [Fact]
    public void The_same_seed_gives_the_same_numbers_and_another_one_others()
    {
        double First(int seed) =>
            ResidualGradients.Run(seed, seeds: 1, depths: [1, 2], TestContext.Current.CancellationToken).Rows[0].PreNorm;
        Assert.Equal(First(1), First(1));
        Assert.NotEqual(First(1), First(2));
    }

    [Fact]
    public void The_slope_of_a_power_is_its_exponent_and_that_of_scattered_points_the_best_line_s()
    {
        Near.Equal(-0.75, ResidualGradients.Slope([(1, 3), (2, 3 * Math.Pow(2, -0.75)), (32, 3 * Math.Pow(32, -0.75))]), 1e-12);
        Near.Equal(0.5, ResidualGradients.Slope([(1, 3), (2, 100), (4, 6)]), 1e-12, "the middle one lies off the line");
    }
}
