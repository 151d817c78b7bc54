using Transformer.Native;
using static TorchSharp.torch;

namespace Transformer.Layers.Attention;

// B batch · T tokens · S keys · G key/value heads · D head width · W window

/// <summary>
/// The keys and values of the last W tokens, which is all that a window of W keys can see: a row's token s is in slot s mod W and is
/// overwritten by token s + W. It takes 2 G D W numbers per row and layer, however long the text.
/// </summary>
public sealed class RollingKeyValueCache : LayerState
{
    private readonly Tensor keys, values;
    private readonly long size;

    internal RollingKeyValueCache(int rows, int heads, int size, int headWidth, Device device)
        : this(zeros(rows, heads, size, headWidth, device: device), zeros(rows, heads, size, headWidth, device: device))
    {
    }

    // 2 x [B, G, W, D]
    private RollingKeyValueCache(Tensor keys, Tensor values)
        : base(keys, values) => (this.keys, this.values, size) = (keys, values, keys.shape[2]);

    /// <inheritdoc/>
    public override bool CanTruncate => false;

    /// <inheritdoc/>
    public override RollingKeyValueCache Narrow(int first, int count) =>
        new(keys.narrow(0, first, count), values.narrow(0, first, count));

    // [G, S, D]
    /// <inheritdoc/>
    protected override Tensor Used(Tensor tensor, int row, int length) => tensor[row].narrow(1, 0, Math.Min(length, size));

    /// <summary>Stores the keys and values of each row's new tokens; padding is left out.</summary>
    /// <param name="k">[B, G, T, D]</param>
    /// <param name="v">[B, G, T, D]</param>
    /// <param name="context">How many tokens each row has and gets.</param>
    /// <returns>What the new tokens may see: keys and values, 2 x [B, G, S, D], and the keys' positions, [B, S], negative where a row has
    /// no such token. The new tokens' own come last and in order, except where there is but one.</returns>
    internal (Tensor Keys, Tensor Values, Tensor Positions) Append(Tensor k, Tensor v, ForwardContext context)
    {
        // [B, 1]
        var starts = tensor(context.CachedLengths.Select(length => (long)length).ToArray()).ToDeviceAsync(k.device).unsqueeze(1);
        var longest = context.CachedLengths.Max();
        if (k.shape[2] == 1 && context.NewTokens.All(count => count == 1))
        {
            Keep(k, v, context);                                    // the window of the new token does not reach what it overwrites
            var used = Math.Min(size, longest + 1);
            var back = (starts - arange(used, device: k.device)).remainder(size);                                              // [B, S]
            return (keys.narrow(2, 0, used).to(k.dtype), values.narrow(2, 0, used).to(v.dtype), starts - back);
        }
        var held = Math.Min(size, longest);
        var before = starts - held + arange(held, device: k.device);                                                           // [B, held]
        // [B, G, held, D]
        var slots = before.remainder(size).unsqueeze(1).unsqueeze(-1).expand(-1, k.shape[1], -1, k.shape[3]);
        var all = (
            cat([keys.gather(2, slots).to(k.dtype), k], 2), cat([values.gather(2, slots).to(v.dtype), v], 2),
            starts + arange(-held, k.shape[2], device: k.device));
        Keep(k, v, context);
        return all;
    }

    // Of each row's new tokens the last W, each into its slot.
    private void Keep(Tensor k, Tensor v, ForwardContext context)
    {
        for (var row = 0; row < context.CachedLengths.Count; row++)
        {
            var count = context.NewTokensOf(row, k.shape[2]);
            var (kept, end) = (Math.Min(count, size), context.CachedLengths[row] + count);
            var slots = arange(end - kept, end, device: k.device).remainder(size);
            keys[row].index_copy_(1, slots, k[row].narrow(1, count - kept, kept).to(keys.dtype));
            values[row].index_copy_(1, slots, v[row].narrow(1, count - kept, kept).to(values.dtype));
        }
    }
}
