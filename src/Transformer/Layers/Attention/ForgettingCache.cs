using static TorchSharp.torch;

namespace Transformer.Layers.Attention;

// B batch · T tokens · S cached tokens · H heads · G key/value heads · D head width

/// <summary>
/// The keys and values of the tokens so far and the logarithms of their forget gates: 2 G D + H numbers a token and row. Where keys and
/// values are mixed with those of the token before, also the last ones before they were mixed.
/// </summary>
public sealed class ForgettingCache : LayerState
{
    private readonly Tensor keys, values, gates;
    private readonly Tensor? lastKeys, lastValues;

    internal ForgettingCache(int rows, int heads, int keyValueHeads, int length, int headWidth, bool keepsLast, Device device) : this(
        zeros(rows, keyValueHeads, length, headWidth, device: device), zeros(rows, keyValueHeads, length, headWidth, device: device),
        zeros(rows, heads, length, device: device),
        keepsLast ? zeros(rows, 1, keyValueHeads, headWidth, device: device) : null,
        keepsLast ? zeros(rows, 1, keyValueHeads, headWidth, device: device) : null)
    {
    }

    // 2 x [B, G, S, D], [B, H, S], 2 x [B, 1, G, D]
    private ForgettingCache(Tensor keys, Tensor values, Tensor gates, Tensor? lastKeys, Tensor? lastValues)
        : base(keys, values, gates, lastKeys, lastValues) =>
        (this.keys, this.values, this.gates, this.lastKeys, this.lastValues) = (keys, values, gates, lastKeys, lastValues);

    /// <inheritdoc/>
    /// <remarks>False where the last keys and values are kept: those of an earlier token are not known any more.</remarks>
    public override bool CanTruncate => lastKeys is null;

    /// <inheritdoc/>
    public override ForgettingCache Narrow(int first, int count) => new(
        keys.narrow(0, first, count), values.narrow(0, first, count), gates.narrow(0, first, count),
        lastKeys?.narrow(0, first, count), lastValues?.narrow(0, first, count));

    // [G or H, length, ...], or all of what is kept of the last token.
    /// <inheritdoc/>
    protected override Tensor Used(Tensor tensor, int row, int length) =>
        ReferenceEquals(tensor, lastKeys) || ReferenceEquals(tensor, lastValues) ? tensor[row] : tensor[row].narrow(1, 0, length);

    /// <summary>The keys and values of the tokens before the new ones; those of the new ones take their place for the next pass.</summary>
    /// <param name="k">[B, T, G, D]</param>
    /// <param name="v">[B, T, G, D]</param>
    /// <param name="context">How many tokens each row gets.</param>
    /// <returns>2 x [B, 1, G, D], zeros before the first token.</returns>
    internal (Tensor Keys, Tensor Values) Exchange(Tensor k, Tensor v, ForwardContext context)
    {
        var before = (lastKeys!.to(k.dtype, copy: true), lastValues!.to(v.dtype, copy: true));
        for (var row = 0; row < k.shape[0]; row++)
        {
            var count = context.NewTokensOf(row, k.shape[1]);
            if (count == 0) continue;
            lastKeys[row].copy_(k[row].narrow(0, count - 1, 1));
            lastValues[row].copy_(v[row].narrow(0, count - 1, 1));
        }
        return before;
    }

    /// <summary>Writes what is kept of the new tokens of each row behind what it has; padding is left out.</summary>
    /// <param name="k">[B, G, T, D]</param>
    /// <param name="v">[B, G, T, D]</param>
    /// <param name="logForget">[B, H, T]</param>
    /// <param name="context">How many tokens each row has and gets.</param>
    /// <returns>All up to the longest row's last token: 2 x [B, G, S, D] in the type of k and v, and [B, H, S].</returns>
    internal (Tensor Keys, Tensor Values, Tensor LogForget) Append(Tensor k, Tensor v, Tensor logForget, ForwardContext context)
    {
        var used = Append(context, (keys, k), (values, v), (gates, logForget));
        return (keys.narrow(2, 0, used).to(k.dtype), values.narrow(2, 0, used).to(v.dtype), gates.narrow(2, 0, used));
    }
}
