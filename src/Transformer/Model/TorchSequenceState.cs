using System.Runtime.InteropServices;
using Transformer.Inference;
using Transformer.Layers;
using static TorchSharp.torch;

namespace Transformer.Model;

/// <summary>
/// Everything that libtorch's generation carries from one step to the next: one state per layer, and for each row the number of tokens
/// read. Made by
/// <see cref="TransformerModel.NewState(int, int?)"/>; changed in place by each pass.
/// </summary>
public sealed class TorchSequenceState : SequenceState
{
    internal TorchSequenceState(object owner, IReadOnlyList<LayerState> layers, int rows, int capacity, bool canTruncate, bool canDrop)
        : base(owner, rows, capacity) =>
        (Layers, CanTruncate, CanDrop) = (layers, canTruncate && layers.All(layer => layer.CanTruncate), canDrop);

    /// <summary>One state per layer, from the embedding to the head.</summary>
    public IReadOnlyList<LayerState> Layers { get; }

    /// <inheritdoc/>
    public override long Bytes => Layers.Sum(layer => layer.Bytes);

    /// <inheritdoc/>
    public override bool CanTruncate { get; }

    /// <inheritdoc/>
    internal override bool CanDrop { get; }

    /// <summary>Called before each change outside of a pass, which the other ranks that share the model make too.</summary>
    internal Action<StateChange>? Changing { get; set; }

    internal void Advance(IReadOnlyList<int> tokens)
    {
        for (var row = 0; row < Lengths.Count; row++) Advance(row, tokens[row]);
    }

    /// <summary>
    /// The state of some neighbouring rows: the same memory, under row numbers from 0 on. The caller has to count the tokens that it reads.
    /// </summary>
    internal TorchSequenceState Narrow(int first, int count)
    {
        var part = new TorchSequenceState(
            this, [.. Layers.Select(layer => layer.Narrow(first, count))], count, Capacity, CanTruncate, CanDrop);
        for (var row = 0; row < count; row++) part.Advance(row, Lengths[first + row]);
        return part;
    }

    internal override IEnumerable<StatePart> Parts(int row)
    {
        for (var layer = 0; layer < Layers.Count; layer++)
        {
            var (state, length, index) = (Layers[layer], Lengths[row], 0);
            var counts = Counts(state, row, length);
            foreach (var count in counts)
            {
                var which = index++;
                yield return new(
                    $"layer.{layer}.{which}", count,
                    to => CopyTo(state, row, length, which, to), from => CopyFrom(state, row, length, which, from));
            }
        }
    }

    private static int[] Counts(LayerState state, int row, int length)
    {
        using var scope = NewDisposeScope();
        return [.. state.Used(row, length).Select(part => (int)part.numel())];
    }

    private static void CopyTo(LayerState state, int row, int length, int which, Span<float> numbers)
    {
        using var scope = NewDisposeScope();
        MemoryMarshal.Cast<byte, float>(state.Used(row, length).ElementAt(which).cpu().contiguous().bytes).CopyTo(numbers);
    }

    private static void CopyFrom(LayerState state, int row, int length, int which, ReadOnlySpan<float> numbers)
    {
        using var inference = inference_mode();
        using var scope = NewDisposeScope();
        var part = state.Used(row, length).ElementAt(which);
        part.copy_(tensor(numbers.ToArray()).view(part.shape));
    }

    /// <inheritdoc/>
    protected override void ClearRow(int row)
    {
        Changing?.Invoke(new(StateChangeKind.Clear, row));
        using var inference = inference_mode();
        using var scope = NewDisposeScope();
        foreach (var layer in Layers) layer.Clear(row, Lengths[row]);
    }

    /// <inheritdoc/>
    private protected override void CarryRow(int row)
    {
        Changing?.Invoke(new(StateChangeKind.Carry, row));
        using var inference = inference_mode();
        using var scope = NewDisposeScope();
        foreach (var layer in Layers) layer.Carry(row, Lengths[row]);
    }

    /// <inheritdoc/>
    protected override void CopyRow(int from, int to)
    {
        Changing?.Invoke(new(StateChangeKind.Copy, from, to));
        using var inference = inference_mode();
        using var scope = NewDisposeScope();
        foreach (var layer in Layers) layer.Copy(from, to, Math.Max(Lengths[from], Lengths[to]));
    }

    /// <inheritdoc/>
    protected override void TruncateRow(int row, int length)
    {
        Changing?.Invoke(new(StateChangeKind.Truncate, row, length));
        using var inference = inference_mode();
        using var scope = NewDisposeScope();
        foreach (var layer in Layers) layer.Truncate(row, length, Lengths[row]);
    }

    /// <inheritdoc/>
    private protected override void DropTokens(int row, int first, int count)
    {
        using var inference = inference_mode();
        using var scope = NewDisposeScope();
        foreach (var layer in Layers) layer.Drop(row, first, count, Lengths[row]);
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        Changing?.Invoke(new(StateChangeKind.Dispose));
        Changing = null;
        foreach (var layer in Layers) layer.Dispose();
    }
}
