using Transformer.Layers.Mlp;
using static TorchSharp.torch;

namespace Transformer.Tests.Layers.Mlp;

public sealed class SquaredReluTests
{
    public SquaredReluTests() => manual_seed(1);

    [Theory]
    [InlineData(1, 1)]
    [InlineData(13, 1e-8)]
    [InlineData(13, 1e8)]
    [InlineData(6001, 1)]
    public void Fused_it_is_the_formula(int width, double magnitude)
    {
        using var scope = NewDisposeScope();
        FusedOperator.Equals(Formula, Fused, [randn(3, width) * magnitude], 1e-6);
    }

    [Fact]
    public void Inputs_and_gradients_may_lie_in_any_order()
    {
        using var scope = NewDisposeScope();
        FusedOperator.Equals(x => Formula([x[0].t()]).t(), x => Fused([x[0].t()]).t(), [randn(9, 5)], 1e-6);
    }

    [Fact]
    public void Nothing_is_kept_of_a_pass() => FusedOperator.Keeps_nothing(Fused, [randn(256, 512)]);

    private static Tensor Formula(Tensor[] inputs) => nn.functional.relu(inputs[0]).square();

    private static Tensor Fused(Tensor[] inputs) => SquaredRelu.Apply(inputs[0]);
}
