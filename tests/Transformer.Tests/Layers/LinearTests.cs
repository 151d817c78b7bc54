using Transformer.Layers;
using static TorchSharp.torch;

namespace Transformer.Tests.Layers;

public sealed class LinearTests
{
    public static TheoryData<ScalarType> SixteenBits => [ScalarType.BFloat16, ScalarType.Float16];

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void It_draws_and_computes_what_torch_s_layer_does(bool bias)
    {
        manual_seed(3);
        using var ours = new Linear(7, 5, bias);
        manual_seed(3);
        using var theirs = nn.Linear(7, 5, bias);
        Assert.Equal(
            theirs.named_parameters().Select(parameter => parameter.name), ours.named_parameters().Select(parameter => parameter.name));
        foreach (var (name, value) in theirs.named_parameters()) Near.Equal(value, ours.Weight(name), 0, name);
        var x = randn(2, 3, 7);
        Near.Equal(theirs.call(x), ours.call(x), 0);
    }

    [Theory, MemberData(nameof(SixteenBits))]
    public void A_product_has_the_type_of_its_input_and_the_weight_s_gradient_that_of_the_weight(ScalarType type)
    {
        manual_seed(3);
        using var layer = new Linear(7, 5, hasBias: true);
        var (weight, bias) = (layer.Weight("weight"), layer.Weight("bias"));
        var x = randn(4, 7).to(type).requires_grad_(true);

        var y = layer.call(x);
        y.sum().backward();
        Assert.Equal((type, type, ScalarType.Float32, ScalarType.Float32), (y.dtype, x.grad!.dtype, weight.grad!.dtype, bias.grad!.dtype));
        Near.Equal(
            nn.functional.linear(x.to(float64), weight.to(type).to(float64), bias.to(type).to(float64)), y,
            type == bfloat16 ? 0.02 : 0.002);
        Near.Equal(x.to(float32).sum(dim: 0).expand(5, -1), weight.grad!, type == bfloat16 ? 0.03 : 0.004);
    }

    // 1 + 2^-12 lies between 1 and the next number of fp16, 1 + 2^-10, and nearer to 1.
    [Fact]
    public void Steps_too_small_for_fp16_are_lost_in_an_fp16_weight_and_add_up_in_an_fp32_one()
    {
        var step = Math.Pow(2, -12);
        var (half, master) = (ones(1, 1, float16), ones(1, 1));
        var x = ones(1, 1, float16);
        var products = new List<double>();
        for (var i = 0; i < 4; i++)
        {
            half.add_(step);
            master.add_(step);
            products.Add(Linear.Apply(x, master).to(float64).item<double>());
        }
        Assert.Equal(1, half.to(float64).item<double>());
        Assert.Equal(1 + 4 * step, master.to(float64).item<double>());
        Assert.Equal([1, 1, 1 + 4 * step, 1 + 4 * step], products);    // the nearest number of fp16
    }
}
