using Transformer.Layers.Mlp;
using static TorchSharp.torch;

namespace Transformer.Tests.Layers.Mlp;

public sealed class SwiGluTests
{
    public SwiGluTests() => manual_seed(1);

    [Theory]
    [InlineData(1, 1e-20)]
    [InlineData(3, 1)]
    [InlineData(8, 1)]
    [InlineData(13, 10)]
    [InlineData(3001, 1)]
    public void Fused_it_is_the_formula(int width, double magnitude)
    {
        using var scope = NewDisposeScope();
        FusedOperator.Equals(Formula, Fused, [randn(3, width) * magnitude, randn(3, width)], 2e-6);
    }

    [Theory]
    [InlineData(30)]
    [InlineData(88)]
    [InlineData(104)]
    [InlineData(1e4)]
    public void Gates_that_are_shut_or_wide_open_stay_exact(double magnitude)
    {
        using var scope = NewDisposeScope();
        foreach (var sign in (int[])[-1, 1]) FusedOperator.Equals(Formula, Fused, [full([2, 11], sign * magnitude), randn(2, 11)], 2e-6);
    }

    [Fact]
    public void Inputs_and_gradients_may_lie_in_any_order()
    {
        using var scope = NewDisposeScope();
        FusedOperator.Equals(Transposed(Formula), Transposed(Fused), [randn(9, 5), randn(9, 5)], 2e-6);

        static Func<Tensor[], Tensor> Transposed(Func<Tensor[], Tensor> gated) =>
            inputs => gated([inputs[0].t(), inputs[1].t().contiguous()]).t();
    }

    [Fact]
    public void Nothing_is_kept_of_a_pass() => FusedOperator.Keeps_nothing(Fused, [randn(256, 512), randn(256, 512)]);

    private static Tensor Formula(Tensor[] inputs) => inputs[0] * inputs[0].sigmoid() * inputs[1];

    private static Tensor Fused(Tensor[] inputs) => SwiGlu.Apply(inputs[0], inputs[1]);
}
