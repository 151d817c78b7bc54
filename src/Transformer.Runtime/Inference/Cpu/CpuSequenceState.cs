namespace Transformer.Inference.Cpu;

/// <summary>
/// What a <see cref="CpuInferenceModel"/> carries from one token to the next: for each block and row the keys and values of the tokens that
/// are still visible, or the state of a recurrence.
/// </summary>
public sealed class CpuSequenceState : SequenceState
{
    private readonly MixerState[] layers;    // of all blocks, then the associative memories of those that have one
    private readonly AssociativeMemoryState?[] memories;

    internal CpuSequenceState(
        CpuInferenceModel model, MixerState[] mixers, AssociativeMemoryState?[] memories, int rows, int capacity,
        bool canDrop = false)
        : base(model, rows, capacity)
    {
        (layers, this.memories, CanDrop) = ([.. mixers, .. memories.OfType<AssociativeMemoryState>()], memories, canDrop);
        CanTruncate = Array.TrueForAll(layers, layer => layer.CanTruncate);
    }

    /// <inheritdoc/>
    public override long Bytes => layers.Sum(layer => layer.Bytes);

    /// <inheritdoc/>
    public override bool CanTruncate { get; }

    /// <inheritdoc/>
    internal override bool CanDrop { get; }

    internal MixerState Layer(int layer) => layers[layer];

    internal AssociativeMemoryState? Memory(int layer) => memories[layer];

    internal override IEnumerable<StatePart> Parts(int row) =>
        from layer in layers.Index()
        from part in layer.Item.Parts(row, Lengths[row])
        select part with { Name = $"layer.{layer.Index}.{part.Name}" };

    /// <inheritdoc/>
    protected override void ClearRow(int row)
    {
        foreach (var layer in layers) layer.Clear(row);
    }

    /// <inheritdoc/>
    private protected override void CarryRow(int row)
    {
        foreach (var layer in layers) layer.Carry(row, Lengths[row]);
    }

    /// <inheritdoc/>
    protected override void CopyRow(int from, int to)
    {
        foreach (var layer in layers) layer.Copy(from, to, Lengths[from]);
    }

    /// <inheritdoc/>
    private protected override void DropTokens(int row, int first, int count)
    {
        foreach (var layer in layers) layer.Drop(row, first, count, Lengths[row]);
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        foreach (var layer in layers) layer.Dispose();
    }
}
