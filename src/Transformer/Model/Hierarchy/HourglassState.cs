using Transformer.Layers;
using static TorchSharp.torch;

namespace Transformer.Model.Hierarchy;

// B rows · n vectors of the open group · C width

/// <summary>
/// What an hourglass carries from one token to the next: what it needs of the group that is open, the vector that was received last, how
/// many vectors its layers have read, and the states of those.
/// </summary>
public sealed class HourglassState : LayerState
{
    private readonly Func<int, int> mostGroups;
    private readonly int capacity;

    /// <param name="open">Of the open group: [B, n, C].</param>
    /// <param name="received">[B, C]</param>
    /// <param name="counts">Of tokens in the open group, and of vectors that the layers have read: [B, 2], on the CPU.</param>
    /// <param name="layers">The states of the layers by their modules.</param>
    /// <param name="mostGroups">The most vectors that the layers read of so many tokens.</param>
    /// <param name="capacity">The most that the states hold.</param>
    internal HourglassState(
        Tensor open, Tensor received, Tensor counts, IReadOnlyDictionary<nn.Module, LayerState> layers, Func<int, int> mostGroups,
        int capacity)
        : base(open, received, counts)
    {
        (Open, Received, Counts, Layers) = (open, received, counts, layers);
        (this.mostGroups, this.capacity) = (mostGroups, capacity);
    }

    /// <summary>Of the open group: [B, n, C].</summary>
    internal Tensor Open { get; }

    /// <summary>The vector that was received last: [B, C].</summary>
    internal Tensor Received { get; }

    /// <summary>Of tokens in the open group, and of vectors that the layers have read: [B, 2], on the CPU.</summary>
    internal Tensor Counts { get; }

    /// <summary>The states of the layers by their modules.</summary>
    internal IReadOnlyDictionary<nn.Module, LayerState> Layers { get; }

    /// <summary>How many vectors the layers have read of each row.</summary>
    internal int[] Groups => [.. Counts.select(1, 1).data<float>().Select(count => Math.Clamp((int)count, 0, capacity))];

    /// <summary>Counts what a pass has read of a row.</summary>
    /// <param name="row">The row.</param>
    /// <param name="open">How many tokens the open group now has.</param>
    /// <param name="groups">How many more vectors the layers have read.</param>
    internal void Count(int row, int open, int groups) => Counts[row].copy_(tensor(new[] { open, Groups[row] + (float)groups }));

    /// <inheritdoc/>
    public override long Bytes => base.Bytes + Layers.Values.Sum(layer => layer.Bytes);

    /// <inheritdoc/>
    public override bool CanTruncate => false;

    /// <inheritdoc/>
    public override HourglassState Narrow(int first, int count) => new(
        Open.narrow(0, first, count), Received.narrow(0, first, count), Counts.narrow(0, first, count),
        Layers.ToDictionary(layer => layer.Key, layer => layer.Value.Narrow(first, count)), mostGroups, capacity);

    // As many of the layers' places as so many tokens may use: a file tells the length of a text before its groups.
    internal override IEnumerable<Tensor> Used(int row, int length)
    {
        var groups = mostGroups(length);
        return base.Used(row, length).Concat(Layers.Values.SelectMany(layer => layer.Used(row, groups)));
    }

    // Groups begin anew; what the layers remember stays.
    internal override void Carry(int row, int length)
    {
        var groups = Groups[row];
        foreach (var used in base.Used(row, length)) used.zero_();
        foreach (var layer in Layers.Values) layer.Carry(row, groups);
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        foreach (var layer in Layers.Values) layer.Dispose();
        base.Dispose();
    }
}
