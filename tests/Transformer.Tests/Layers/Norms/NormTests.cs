using Transformer.Configuration;
using Transformer.Layers.Norms;
using static TorchSharp.torch;

namespace Transformer.Tests.Layers.Norms;

public sealed class NormTests
{
    [Fact]
    public void Rms_norm_is_its_formula_in_values_and_gradients()
    {
        using var norm = new RmsNorm(13, epsilon: 0.1);
        using (no_grad()) norm.Weight("weight").copy_(rand(13) + 0.5);
        var (x, weight, direction) = (Leaf(randn(3, 5, 13)), Leaf(norm.Weight("weight")), randn(3, 5, 13));
        var y = Leaf(x);

        var expected = x / (x.square().mean([-1L], keepdim: true) + 0.1).sqrt() * weight;
        var found = norm.call(y);
        Near.Equal(expected, found, 1e-6, "values");

        (expected * direction).sum().backward();
        (found * direction).sum().backward();
        Near.Equal(x.grad!, y.grad!, 1e-6, "gradient of x");
        Near.Equal(weight.grad!, norm.Weight("weight").grad!, 1e-5, "gradient of the weight");
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Layer_norm_is_its_formula(bool bias)
    {
        using var norm = Norm.FromConfig(new LayerNormConfig { Epsilon = 0.1, Bias = bias }, 13);
        Assert.Equal(bias ? ["weight", "bias"] : ["weight"], norm.named_parameters().Select(parameter => parameter.name));
        using (no_grad()) foreach (var parameter in norm.parameters()) parameter.copy_(rand(13) + 0.5);
        var x = randn(3, 13);
        var centred = x - x.mean([-1L], keepdim: true);
        var expected = centred / (centred.square().mean([-1L], keepdim: true) + 0.1).sqrt() * norm.Weight("weight");
        Near.Equal(bias ? expected + norm.Weight("bias") : expected, norm.call(x), 1e-6);
    }

    private static Tensor Leaf(Tensor x) => x.detach().clone().requires_grad_(true);
}
