using Transformer.Layers.Norms;
using static TorchSharp.torch;

namespace Transformer.Tests.Layers.Norms;

public sealed class FusedRmsNormTests
{
    private const double Epsilon = 1e-5;

    public FusedRmsNormTests() => manual_seed(1);

    [Theory]
    [InlineData(1, 2, 1)]
    [InlineData(3, 7, 1)]
    [InlineData(64, 13, 1)]
    [InlineData(65, 24, 1)]
    [InlineData(200, 33, 1)]
    [InlineData(66, 17, 1e-4)]
    [InlineData(66, 17, 1e-12)]
    [InlineData(66, 17, 1e6)]
    [InlineData(66, 17, 1e15)]
    public void Fused_it_is_the_formula(int rows, int width, double magnitude)
    {
        using var scope = NewDisposeScope();
        FusedOperator.Equals(Formula, Fused, [randn(rows, width) * magnitude, rand(width) + 0.5], 1e-5);
    }

    [Fact]
    public void Rows_may_lie_in_any_order()
    {
        using var scope = NewDisposeScope();
        FusedOperator.Equals(
            inputs => Formula([inputs[0].transpose(0, 2), inputs[1]]).transpose(0, 1),
            inputs => Fused([inputs[0].transpose(0, 2), inputs[1]]).transpose(0, 1),
            [randn(9, 5, 4), rand(9) + 0.5], 1e-5);
    }

    [Fact]
    public void A_row_of_zeros_has_a_finite_gradient()
    {
        using var scope = NewDisposeScope();
        FusedOperator.Equals(Formula, Fused, [zeros(3, 10), rand(10) + 0.5], 1e-5);
    }

    [Fact]
    public void A_weight_of_another_width_is_refused() =>
        Assert.Throws<ArgumentException>(() => FusedRmsNorm.Apply(randn(3, 4), ones(8), Epsilon));

    [Fact]
    public void Nothing_is_kept_of_a_pass() => FusedOperator.Keeps_nothing(Fused, [randn(512, 256), rand(256)]);

    private static Tensor Formula(Tensor[] inputs) =>
        inputs[0] / (inputs[0].square().mean([-1L], keepdim: true) + Epsilon).sqrt() * inputs[1];

    private static Tensor Fused(Tensor[] inputs) => FusedRmsNorm.Apply(inputs[0], inputs[1], Epsilon);
}
