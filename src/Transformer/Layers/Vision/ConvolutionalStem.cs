using TorchSharp.Modules;
using Transformer.Configuration;
using Transformer.Layers.Norms;
using static TorchSharp.torch;

namespace Transformer.Layers.Vision;

// I pictures · c channels · H, W sides

/// <summary>
/// Convolutions of 3 x 3 with a stride of two, each with a norm of the channels of a place and ReLU (Xiao et al. 2021, arXiv:2106.14881):
/// <c>forward(pictures [I, 3, H, W], context) -> [I, c, H', W']</c>.
/// </summary>
public sealed class ConvolutionalStem : nn.Module<Tensor, ForwardContext, Tensor>
{
    private readonly ModuleList<Halving> convolutions;
    private readonly ModuleList<nn.Module<Tensor, Tensor>> norms;

    /// <param name="config">The channels.</param>
    /// <param name="norm">The norm of the channels.</param>
    public ConvolutionalStem(StemConfig config, NormConfig norm) : base(nameof(ConvolutionalStem))
    {
        var from = config.Channels.Prepend(3);
        convolutions = new([.. from.Zip(config.Channels, (inputs, outputs) => new Halving(inputs, outputs))]);
        norms = new([.. config.Channels.Select(channels => Norm.FromConfig(norm, channels))]);
        RegisterComponents();
    }

    /// <inheritdoc/>
    public override Tensor forward(Tensor pictures, ForwardContext context)
    {
        var x = pictures;
        foreach (var (convolution, norm) in convolutions.Zip(norms))
        {
            x = norm.call(convolution.call(x).permute(0, 2, 3, 1));             // [I, H', W', c]
            x = nn.functional.relu(x).permute(0, 3, 1, 2);                      // [I, c, H', W']
        }
        return x;
    }

    // A convolution of 3 x 3 with a stride of two.
    private sealed class Halving : nn.Module<Tensor, Tensor>
    {
        private readonly Parameter weight;    // [outputs, inputs, 3, 3]
        private readonly Parameter bias;

        public Halving(int inputs, int outputs) : base(nameof(Halving))
        {
            weight = new Parameter(nn.init.kaiming_uniform_(empty(outputs, inputs, 3, 3), a: Math.Sqrt(5)));
            var bound = 1 / Math.Sqrt(9.0 * inputs);
            bias = new Parameter(nn.init.uniform_(empty(outputs), -bound, bound));
            RegisterComponents();
        }

        public override Tensor forward(Tensor x) => nn.functional.conv2d(x, weight, bias, strides: [2, 2], padding: [1, 1]);
    }
}
