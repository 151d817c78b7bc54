using static TorchSharp.torch;

namespace Transformer.Layers.Attention;

// B batch · T tokens · C width · W tokens seen

/// <summary>The last W - 1 inputs of a <see cref="ShortConvolution"/>, zeros before the first token.</summary>
public sealed class ConvolutionState : LayerState
{
    private readonly Tensor tail;

    internal ConvolutionState(int rows, int tokens, int width, Device device) =>
        tail = zeros(rows, tokens, width, device: device).DetachFromDisposeScope();                 // [B, W - 1, C]

    /// <inheritdoc/>
    public override long Bytes => tail.numel() * tail.element_size();

    /// <summary>Puts the last inputs before the new ones, and keeps those that are last now; filling is left out.</summary>
    /// <param name="x">[B, T, C]</param>
    /// <param name="context">How many tokens each row gets.</param>
    /// <returns>[B, W - 1 + T, C]</returns>
    internal Tensor Append(Tensor x, ForwardContext context)
    {
        var all = cat([tail.to(x.dtype), x], 1);
        for (var row = 0; row < x.shape[0]; row++)
            tail[row].copy_(all[row].narrow(0, context.NewTokens.Count == 0 ? x.shape[1] : context.NewTokens[row], tail.shape[1]));
        return all;
    }

    /// <inheritdoc/>
    public override void Dispose() => tail.Dispose();
}
