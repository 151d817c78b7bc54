using Transformer.Configuration;
using static TorchSharp.torch;

namespace Transformer.Layers.Attention;

// B batch · T tokens · C width · W tokens seen

/// <summary>A block's mixer that is a short convolution alone: it sees the last W tokens, component by component.</summary>
public sealed class Convolution : TokenMixer
{
    private readonly ShortConvolution conv1d;

    /// <param name="config">W.</param>
    /// <param name="width">C, the width of the residual stream.</param>
    public Convolution(ConvolutionConfig config, int width) : base(nameof(Convolution))
    {
        conv1d = new ShortConvolution(width, config.Tokens);
        RegisterComponents();
    }

    /// <inheritdoc/>
    public override LayerState NewState(int rows, int length, Device device) => conv1d.NewState(rows, device);

    /// <param name="x">[B, T, C]</param>
    /// <param name="context">How many tokens of each row are text.</param>
    /// <param name="state">A <see cref="ConvolutionState"/>, or null for a pass without one.</param>
    /// <returns>[B, T, C]</returns>
    public override Tensor forward(Tensor x, ForwardContext context, LayerState? state) =>
        conv1d.call(x, context, (ConvolutionState?)state);
}
