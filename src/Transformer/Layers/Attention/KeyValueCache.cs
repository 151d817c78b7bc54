using static TorchSharp.torch;

namespace Transformer.Layers.Attention;

// B batch · T tokens · S cached tokens · G key/value heads · D head width

/// <summary>
/// The keys and values of the tokens so far, in buffers allocated once, so that a step computes only its own (2 G D S numbers a row and
/// layer). Slot s of a row holds its token s; slots past a row's length are zero.
/// </summary>
public sealed class KeyValueCache : LayerState
{
    private readonly Tensor keys, values;

    internal KeyValueCache(int rows, int heads, int length, int headWidth, Device device)
        : this(zeros(rows, heads, length, headWidth, device: device), zeros(rows, heads, length, headWidth, device: device))
    {
    }

    // 2 x [B, G, S, D]
    private KeyValueCache(Tensor keys, Tensor values) : base(keys, values) => (this.keys, this.values) = (keys, values);

    /// <inheritdoc/>
    public override bool CanTruncate => true;

    /// <inheritdoc/>
    public override KeyValueCache Narrow(int first, int count) => new(keys.narrow(0, first, count), values.narrow(0, first, count));

    /// <inheritdoc/>
    internal override void Drop(int row, int first, int count, int held)
    {
        foreach (var used in Used(row, held))                                                                   // [G, held, D]
        {
            used.narrow(1, first, held - first - count).copy_(used.narrow(1, first + count, held - first - count).clone());
            used.narrow(1, held - count, count).zero_();
        }
    }

    // [G, length, D]
    /// <inheritdoc/>
    protected override Tensor Used(Tensor tensor, int row, int length) => tensor[row].narrow(1, 0, length);

    /// <summary>Writes the keys and values of the new tokens of each row behind those that it has; padding is left out.</summary>
    /// <param name="k">[B, G, T, D]</param>
    /// <param name="v">[B, G, T, D]</param>
    /// <param name="context">How many tokens each row has and gets.</param>
    /// <returns>The keys and values up to the longest row's last token: 2 x [B, G, S, D], in the type of k and v; fp32 ones are views of
    /// the buffers.</returns>
    internal (Tensor Keys, Tensor Values) Append(Tensor k, Tensor v, ForwardContext context)
    {
        var used = Append(context, (keys, k), (values, v));
        return (keys.narrow(2, 0, used).to(k.dtype), values.narrow(2, 0, used).to(v.dtype));
    }
}
