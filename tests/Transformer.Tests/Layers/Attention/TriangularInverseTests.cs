using Transformer.Layers.Attention;
using static TorchSharp.torch;

namespace Transformer.Tests.Layers.Attention;

public sealed class TriangularInverseTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(32)]
    public void Forward_substitution_is_the_inverse_in_values_and_gradients(int size)
    {
        using var scope = NewDisposeScope();
        FusedOperator.Equals(
            inputs => linalg.inv(eye(size, dtype: inputs[0].dtype) + inputs[0].tril(-1)), inputs => TriangularInverse.Of(inputs[0]),
            [randn(2, 3, size, size) / Math.Sqrt(size)], 1e-5);
    }

    [Fact]
    public void Matrices_that_the_kernel_does_not_cover_are_solved_by_libtorch()
    {
        var matrices = randn(3, 8, 8, ScalarType.Float64);
        Near.Equal(TriangularInverse.Of(matrices.to(float32)), TriangularInverse.Of(matrices), 1e-3);
    }

    [Fact]
    public void Nothing_is_kept_of_a_pass() =>
        FusedOperator.Keeps_nothing(inputs => TriangularInverse.Of(inputs[0]), [randn(64, 32, 32) / 8]);
}
