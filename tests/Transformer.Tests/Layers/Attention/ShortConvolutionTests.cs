using Transformer.Layers;
using Transformer.Layers.Attention;
using static TorchSharp.torch;

namespace Transformer.Tests.Layers.Attention;

public sealed class ShortConvolutionTests
{
    [Theory]
    [InlineData(2)]
    [InlineData(4)]
    [InlineData(7)]
    public void It_is_libtorch_s_depthwise_convolution_behind_zeros_in_values_and_gradients(int seen)
    {
        using var scope = NewDisposeScope();
        using var layer = new ShortConvolution(6, seen);
        var weight = layer.Weight("weight");
        var x = randn(2, 5, 6).requires_grad_(true);
        var direction = randn(2, 5, 6);
        var padded = nn.functional.pad(x.transpose(1, 2), [seen - 1, 0]);
        var expected = nn.functional.conv1d(padded, weight, groups: 6).transpose(1, 2);
        var gradients = autograd.grad([(expected * direction).sum()], [x, weight]);
        var found = layer.call(x, new ForwardContext(), null);
        var foundGradients = autograd.grad([(found * direction).sum()], [x, weight]);
        Near.Equal(expected, found, 1e-6);
        for (var i = 0; i < 2; i++) Near.Equal(gradients[i], foundGradients[i], 1e-5, $"gradient {i}");
    }

    [Theory]
    [InlineData(2)]
    [InlineData(5)]
    public void In_parts_of_any_length_it_is_what_it_is_at_once(int seen)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var layer = new ShortConvolution(6, seen);
        using var state = layer.NewState(rows: 2, CPU);
        var x = randn(2, 12, 6);
        var parts = x.split([1, 2, 6, 3], 1).Select(part => layer.call(part, new ForwardContext(), state)).ToArray();
        Near.Equal(layer.call(x, new ForwardContext(), null), cat(parts, 1), 1e-6);
        Assert.Equal(2 * (seen - 1) * 6 * sizeof(float), state.Bytes);
    }

    [Fact]
    public void Filling_is_not_remembered()
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var layer = new ShortConvolution(6, 4);
        using var state = layer.NewState(rows: 2, CPU);
        var x = randn(2, 8, 6);
        layer.call(x.narrow(1, 0, 5), new ForwardContext { NewTokens = [5, 1] }, state);
        var next = layer.call(stack([x[0].narrow(0, 5, 2), x[1].narrow(0, 1, 2)]), new ForwardContext(), state);
        var full = layer.call(x, new ForwardContext(), null);
        Near.Equal(full[0].narrow(0, 5, 2), next[0], 1e-6);
        Near.Equal(full[1].narrow(0, 1, 2), next[1], 1e-6);
    }

    [Fact]
    public void A_width_of_one_is_refused() => Assert.Throws<ArgumentOutOfRangeException>(() => new ShortConvolution(6, 1));
}
