using TorchSharp.Modules;
using Transformer.Native;
using static TorchSharp.torch;

namespace Transformer.Layers.Attention;

// B batch · T tokens · C width · W tokens seen

/// <summary>
/// A causal depthwise convolution: each component of a token becomes a weighted sum of that component in the last W tokens, its own
/// included. It lets a layer compare neighbours, which a recurrent state does badly (Fu et al. 2023, H3; Gu and Dao 2023, Mamba).
/// </summary>
public sealed class ShortConvolution : nn.Module<Tensor, ForwardContext, ConvolutionState?, Tensor>
{
    private readonly Parameter weight;

    /// <param name="width">C.</param>
    /// <param name="tokens">W, 2 or more.</param>
    public ShortConvolution(int width, int tokens) : base(nameof(ShortConvolution))
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(tokens, 2);
        weight = nn.Parameter(empty(width, 1, tokens).uniform_(-1 / Math.Sqrt(tokens), 1 / Math.Sqrt(tokens)));
        RegisterComponents();
    }

    /// <summary>The state of a text that has not begun.</summary>
    /// <param name="rows">B, the number of sequences.</param>
    /// <param name="device">The state's device.</param>
    public ConvolutionState NewState(int rows, Device device) => new(rows, (int)weight.shape[2] - 1, (int)weight.shape[0], device);

    /// <param name="x">[B, T, C]</param>
    /// <param name="context">How many tokens of each row are text.</param>
    /// <param name="state">The state after the tokens before, or null for a pass over whole sequences.</param>
    /// <returns>[B, T, C]</returns>
    public override Tensor forward(Tensor x, ForwardContext context, ConvolutionState? state)
    {
        var (tokens, seen) = (x.shape[1], weight.shape[2]);
        var all = state?.Append(x, context) ?? nn.functional.pad(x, [0, 0, seen - 1, 0]);           // [B, W - 1 + T, C]
        all = all.ToFloat32();                                                                        // the sum is rounded once
        var y = all.narrow(1, 0, tokens) * weight[.., 0, 0];
        for (long w = 1; w < seen; w++) y = y.addcmul(all.narrow(1, w, tokens), weight[.., 0, w], 1);
        return y.to(x.dtype);
    }
}
