using Transformer.Native;
using static TorchSharp.torch;

namespace Transformer.Layers.Attention;

// B batch · T tokens · M tokens of memory · S slots in use · H heads · D head width

/// <summary>
/// The keys and values of the tokens of a segment so far, behind those of up to M tokens before it: 2 H D (M + T) numbers a row and layer,
/// however long the text.
/// </summary>
public sealed class SegmentCache : LayerState
{
    private readonly Tensor keys, values, held;    // held: how many slots of a row are memory, on the CPU
    private readonly int memory;

    internal SegmentCache(int rows, int heads, int memory, int length, int headWidth, Device device) : this(
        zeros(rows, heads, memory + length, headWidth, device: device), zeros(rows, heads, memory + length, headWidth, device: device),
        zeros(rows, 1), memory)
    {
    }

    // 2 x [B, H, M + T, D], [B, 1]
    private SegmentCache(Tensor keys, Tensor values, Tensor held, int memory)
        : base(keys, values, held) => (this.keys, this.values, this.held, this.memory) = (keys, values, held, memory);

    /// <summary>The most tokens of a segment.</summary>
    public int Length => (int)keys.shape[2] - memory;

    /// <inheritdoc/>
    public override bool CanTruncate => false;

    /// <inheritdoc/>
    public override SegmentCache Narrow(int first, int count) =>
        new(keys.narrow(0, first, count), values.narrow(0, first, count), held.narrow(0, first, count), memory);

    /// <summary>Writes the keys and values of each row's new tokens behind those that it has; padding is left out.</summary>
    /// <param name="k">[B, H, T, D]</param>
    /// <param name="v">[B, H, T, D]</param>
    /// <param name="context">How many tokens of its segment each row has and gets.</param>
    /// <returns>Keys and values, 2 x [B, H, S, D] in the type of k and v, and the keys' positions in the segment, [B, S], those of the
    /// memory being negative and those of free slots after all queries.</returns>
    internal (Tensor Keys, Tensor Values, Tensor Positions) Append(Tensor k, Tensor v, ForwardContext context)
    {
        long used = 0;
        for (var row = 0; row < k.shape[0]; row++)
        {
            var (start, count) = (Held(row) + context.CachedLengths[row], context.NewTokensOf(row, k.shape[2]));
            keys[row].narrow(1, start, count).copy_(k[row].narrow(1, 0, count));
            values[row].narrow(1, start, count).copy_(v[row].narrow(1, 0, count));
            used = Math.Max(used, start + count);
        }
        var first = held.to(ScalarType.Int64).ToDeviceAsync(keys.device);                                      // [B, 1]
        return (keys.narrow(2, 0, used).to(k.dtype), values.narrow(2, 0, used).to(v.dtype), arange(used, device: keys.device) - first);
    }

    /// <inheritdoc/>
    internal override void Carry(int row, int length)
    {
        var all = Held(row) + length;
        var kept = Math.Min(memory, all);
        foreach (var buffer in new[] { keys, values })
        {
            var last = buffer[row].narrow(1, all - kept, kept).clone();
            buffer[row].zero_();
            buffer[row].narrow(1, 0, kept).copy_(last);
        }
        held[row].fill_(kept);
    }

    private long Held(int row) => (long)held[row, 0].item<float>();
}
