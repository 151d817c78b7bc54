using Transformer.Native;
using static TorchSharp.torch;

namespace Transformer.Layers.Memory;

// B rows

/// <summary>
/// What a model carries from one segment of its texts to the next: for each module that remembers, its tensors, one text a row. A pass is
/// given one and returns another; no layer keeps it.
/// </summary>
/// <param name="lengths">What <see cref="Lengths"/> are to be.</param>
public sealed class SegmentMemory(IReadOnlyList<long> lengths) : IDisposable
{
    private readonly OrderedDictionary<nn.Module, Tensor[]> tensors = [];

    /// <summary>For each row how many places of its text have been read, memory tokens included; 0 for a text that has not begun.</summary>
    public IReadOnlyList<long> Lengths { get; } = lengths;

    /// <summary>Whether every row's text has begun.</summary>
    public bool AllHaveBegun => Lengths.All(length => length > 0);

    /// <summary>What a module remembers: each [B, ...]; null where it remembers nothing yet.</summary>
    public IReadOnlyList<Tensor>? Of(nn.Module module) => tensors.GetValueOrDefault(module);

    /// <summary>All that is remembered, by module, in the order of the pass.</summary>
    internal IEnumerable<(nn.Module Module, Tensor[] Tensors)> All => tensors.Select(entry => (entry.Key, entry.Value));

    /// <summary>Which rows' texts have begun, as 1 and 0: [B, 1, ...] of so many dimensions.</summary>
    internal Tensor Begun(int dimensions, Device device) =>
        tensor(Lengths.Select(length => length > 0 ? 1f : 0f).ToArray(), [Lengths.Count, .. Enumerable.Repeat(1L, dimensions - 1)])
            .ToDeviceAsync(device);

    /// <summary>Remembers tensors of a module, which outlive the scopes of its pass and are this memory's.</summary>
    internal void Keep(nn.Module module, params IEnumerable<Tensor> values) =>
        tensors[module] = [.. values.Select(value => value.DetachFromDisposeScope())];

    /// <summary>The same numbers without the graph of their gradients: a memory of its own.</summary>
    public SegmentMemory Detached() => Mapped(Lengths, value => value.detach());

    /// <summary>The same memory where some rows begin new texts, which see nothing of it; its tensors are these.</summary>
    /// <param name="starts">Which rows begin anew.</param>
    internal SegmentMemory Restarted(IReadOnlyList<bool> starts) =>
        starts.Any(start => start) ? Mapped([.. Lengths.Select((length, row) => starts[row] ? 0 : length)], value => value.alias()) : this;

    /// <summary>Nothing remembered: numbers of zero, and all texts as they are.</summary>
    public SegmentMemory Zeroed() => Mapped(Lengths, value => value.zeros_like());

    private SegmentMemory Mapped(IReadOnlyList<long> lengths, Func<Tensor, Tensor> map)
    {
        var mapped = new SegmentMemory(lengths);
        foreach (var (module, values) in tensors) mapped.Keep(module, values.Select(map));
        return mapped;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var value in tensors.Values.SelectMany(values => values)) value.Dispose();
    }
}
