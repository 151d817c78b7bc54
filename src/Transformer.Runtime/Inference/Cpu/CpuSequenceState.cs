namespace Transformer.Inference.Cpu;

/// <summary>
/// What a <see cref="CpuInferenceModel"/> carries from one token to the next: for each block and row the keys and values of the tokens that
/// are still visible, or the state of a recurrence; of hourglasses the open group too, and of attention to pictures the last one.
/// </summary>
public sealed class CpuSequenceState : SequenceState
{
    internal CpuSequenceState(CpuInferenceModel model, StackState layers, int rows, int capacity, bool canDrop = false)
        : base(model, rows, capacity) => (Layers, CanDrop) = (layers, canDrop);

    /// <inheritdoc/>
    public override long Bytes => Layers.Bytes;

    /// <inheritdoc/>
    public override bool CanTruncate => Layers.CanTruncate;

    /// <inheritdoc/>
    internal override bool CanDrop { get; }

    /// <summary>The state of the model's layers.</summary>
    internal StackState Layers { get; }

    internal override IEnumerable<StatePart> Parts(int row) => Layers.Parts(row, Lengths[row]);

    /// <inheritdoc/>
    protected override void ClearRow(int row) => Layers.Clear(row);

    /// <inheritdoc/>
    private protected override void CarryRow(int row) => Layers.Carry(row, Lengths[row]);

    /// <inheritdoc/>
    protected override void CopyRow(int from, int to) => Layers.Copy(from, to, Lengths[from]);

    /// <inheritdoc/>
    private protected override void DropTokens(int row, int first, int count) => Layers.Drop(row, first, count, Lengths[row]);

    /// <inheritdoc/>
    public override void Dispose() => Layers.Dispose();
}
