using Transformer.Layers.Attention;
using static TorchSharp.torch;

namespace Transformer.Tests.Layers.Attention;

public sealed class FeatureMapTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public void Dpfp_is_the_paper_s_formula_written_as_loops(int nu)
    {
        var x = randn(2, 5);
        var found = FeatureMap.Dpfp(x, nu);
        Assert.Equal([2, 2 * nu * 5], found.shape);
        for (var row = 0; row < 2; row++)
            for (var j = 1; j <= nu; j++)
                for (var i = 0; i < 10; i++)
                    Near.Equal(R(row, i) * R(row, (i + j) % 10), found[row, 10 * (j - 1) + i].item<float>(), 1e-6);

        double R(int row, int i) => Math.Max(0, i < 5 ? x[row, i].item<float>() : -x[row, i - 5].item<float>());
    }

    [Fact]
    public void Taylor_features_multiply_to_the_beginning_of_the_exponential()
    {
        var (q, k) = (randn(20, 6), randn(20, 6));
        var s = (q * k).sum(-1) / Math.Sqrt(6);
        Near.Equal(1 + s + s.square() / 2, (FeatureMap.Taylor(q) * FeatureMap.Taylor(k)).sum(-1), 1e-5);
    }

    [Fact]
    public void Elu_features_are_positive() =>
        Near.Equal(tensor((float[])[MathF.Exp(-2), 1, 3]), FeatureMap.Elu(tensor((float[])[-2, 0, 2])), 1e-6);
}
