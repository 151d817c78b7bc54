using static TorchSharp.torch;

namespace Transformer.Layers.Attention;

// B batch · T tokens · C width · W tokens seen

/// <summary>The last W - 1 inputs of a <see cref="ShortConvolution"/>, zeros before the first token.</summary>
public sealed class ConvolutionState : LayerState
{
    internal ConvolutionState(int rows, int tokens, int width, Device device) : this(zeros(rows, tokens, width, device: device))
    {
    }

    private ConvolutionState(Tensor tail) : base(tail) => Tail = tail;

    /// <summary>[B, W - 1, C]</summary>
    internal Tensor Tail { get; }

    /// <inheritdoc/>
    public override bool CanTruncate => false;

    /// <inheritdoc/>
    public override ConvolutionState Narrow(int first, int count) => new(Tail.narrow(0, first, count));

    /// <summary>Prepends the last inputs to the new ones, and keeps the new last ones; padding is left out.</summary>
    /// <param name="x">[B, T, C]</param>
    /// <param name="context">How many tokens each row gets.</param>
    /// <returns>[B, W - 1 + T, C]</returns>
    internal Tensor Append(Tensor x, ForwardContext context)
    {
        var all = cat([Tail.to(x.dtype), x], 1);
        for (var row = 0; row < x.shape[0]; row++)
            Tail[row].copy_(all[row].narrow(0, context.NewTokensOf(row, x.shape[1]), Tail.shape[1]));
        return all;
    }
}
