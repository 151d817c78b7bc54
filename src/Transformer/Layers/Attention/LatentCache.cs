using static TorchSharp.torch;

namespace Transformer.Layers.Attention;

// B batch · T tokens · S cached tokens · d_c latent width · d_r rotary width

/// <summary>
/// The latent vector of each token so far, normalised, and behind it the rotated key that all heads share: d_c + d_r numbers a row, layer
/// and token. Slot s of a row holds its token s; slots past a row's length are zero.
/// </summary>
public sealed class LatentCache : LayerState
{
    private readonly Tensor tokens;    // [B, 1, S, d_c + d_r]

    internal LatentCache(int rows, int length, int width, Device device) : this(zeros(rows, 1, length, width, device: device))
    {
    }

    private LatentCache(Tensor tokens) : base(tokens) => this.tokens = tokens;

    /// <inheritdoc/>
    public override bool CanTruncate => true;

    /// <inheritdoc/>
    public override LatentCache Narrow(int first, int count) => new(tokens.narrow(0, first, count));

    // [1, length, d_c + d_r]
    /// <inheritdoc/>
    protected override Tensor Used(Tensor tensor, int row, int length) => tensor[row].narrow(1, 0, length);

    /// <summary>Writes the new tokens of each row behind those that it has; padding is left out.</summary>
    /// <param name="latent">[B, 1, T, d_c + d_r]</param>
    /// <param name="context">How many tokens each row has and gets.</param>
    /// <returns>All tokens up to the longest row's last: [B, 1, S, d_c + d_r], in the type of the new ones; in fp32 a view of the
    /// buffer.</returns>
    internal Tensor Append(Tensor latent, ForwardContext context) =>
        tokens.narrow(2, 0, Append(context, (tokens, latent))).to(latent.dtype);
}
