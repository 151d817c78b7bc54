using Microsoft.ML.OnnxRuntime;
using Transformer.Inference;

namespace Transformer.Onnx;

// B rows · P past slots · S slots of a cache

/// <summary>
/// Everything that generation by ONNX Runtime carries from one pass to the next: the tensors that the graph gave, and for each row which
/// slots of its caches hold its tokens. Made by <see cref="InferenceModel.NewState"/>; each pass changes it.
/// </summary>
/// <remarks>
/// A key's position is the number of tokens before it in its row, so that a row drops tokens by hiding their slots. A cache that an
/// operator fills in place has token s of a row in slot s; one that grows has padding between tokens, and is packed when most of it is
/// padding.
/// </remarks>
public sealed class OnnxSequenceState : SequenceState
{
    private const int FewSlots = 64;    // not worth packing

    private readonly OnnxStateKind[] kinds;
    private readonly List<long>[] slots;

    internal OnnxSequenceState(
        InferenceModel model, IReadOnlyList<OrtValue> past, OnnxStateKind[] kinds, int rows, int capacity, bool canTruncate)
        : base(model, rows, capacity)
    {
        (Past, this.kinds) = (past, kinds);
        CanTruncate = canTruncate && !kinds.Contains(OnnxStateKind.Recurrent);
        slots = [.. Enumerable.Range(0, rows).Select(_ => new List<long>())];
    }

    /// <inheritdoc/>
    public override long Bytes => Past.Sum(value => value.GetTensorTypeAndShape().ElementCount * sizeof(float));

    /// <inheritdoc/>
    public override bool CanTruncate { get; }

    /// <summary>The graph's state, in the order of its inputs.</summary>
    internal IReadOnlyList<OrtValue> Past { get; private set; }

    /// <summary>P.</summary>
    internal int PastSlots => slots[0].Count;

    /// <summary>For each slot of a row 1 where it holds a token, 0 where it is padding: P numbers.</summary>
    internal IReadOnlyList<long> Slots(int row) => slots[row];

    /// <summary>Takes in a pass: its tensors, and for each row how many of its slots hold tokens, from the left.</summary>
    internal void Advance(IReadOnlyList<OrtValue> present, int added, IReadOnlyList<int> counts)
    {
        Release();
        Past = present;
        for (var row = 0; row < slots.Length; row++)
        {
            Advance(row, counts[row]);
            for (var slot = 0; slot < added; slot++) slots[row].Add(slot < counts[row] ? 1 : 0);
        }
    }

    /// <summary>Moves the tokens of each row together where caches that grow are mostly padding.</summary>
    internal void Pack()
    {
        var longest = Lengths.Max();
        if (PastSlots == 0 || (longest > 0 && PastSlots <= 2 * longest + FewSlots)) return;
        Past = [.. Past.Select((value, index) => kinds[index] == OnnxStateKind.Growing ? Packed(value, longest) : value)];
        for (var row = 0; row < slots.Length; row++)
            slots[row] = [.. Enumerable.Range(0, longest).Select(slot => slot < Lengths[row] ? 1L : 0)];
    }

    internal override IEnumerable<StatePart> Parts(int row) => Past.Select((value, index) => kinds[index] == OnnxStateKind.Recurrent
        ? new StatePart(
            $"state.{index}", RowOf(value, row).Length, to => RowOf(value, row).CopyTo(to), from => from.CopyTo(RowOf(value, row)))
        : CachePart($"state.{index}", value, row, kinds[index]));

    internal override void PrepareParts()
    {
        for (var row = 0; row < slots.Length; row++)
            slots[row] = [.. Enumerable.Range(0, Lengths.Max()).Select(slot => slot < Lengths[row] ? 1L : 0)];
        Past = [.. Past.Select((value, index) => kinds[index] == OnnxStateKind.Growing ? Grown(value) : value)];
    }

    private OrtValue Grown(OrtValue cache)
    {
        var shape = cache.GetTensorTypeAndShape().Shape;
        cache.Dispose();
        return OnnxInferenceModel.Zeros([shape[0], shape[1], PastSlots, shape[3]]);
    }

    // The tokens of a row, one behind the other: [G, length, D].
    private StatePart CachePart(string name, OrtValue cache, int row, OnnxStateKind kind)
    {
        var shape = cache.GetTensorTypeAndShape().Shape;                                                       // [B, G, P or S, D]
        var (heads, width, all) = ((int)shape[1], (int)shape[3], (int)shape[2]);
        var length = Lengths[row];
        int[] held = kind == OnnxStateKind.InPlace
            ? [.. Enumerable.Range(0, length)]
            : [.. Enumerable.Range(0, PastSlots).Where(slot => slots[row][slot] == 1)];
        return new(name, heads * length * width, CopyTo, CopyFrom);

        void CopyTo(Span<float> to)
        {
            for (var (head, at) = (0, 0); head < heads; head++)
                foreach (var slot in held) RowOf(cache, row).Slice((head * all + slot) * width, width).CopyTo(to[(at++ * width)..]);
        }

        void CopyFrom(ReadOnlySpan<float> from)
        {
            for (var (head, at) = (0, 0); head < heads; head++)
                foreach (var slot in held)
                    from.Slice(at++ * width, width).CopyTo(RowOf(cache, row).Slice((head * all + slot) * width, width));
        }
    }

    /// <inheritdoc/>
    protected override void ClearRow(int row)
    {
        Hide(row, from: 0);
        for (var index = 0; index < kinds.Length; index++)
            if (kinds[index] == OnnxStateKind.Recurrent) RowOf(Past[index], row).Clear();
    }

    /// <inheritdoc/>
    protected override void CopyRow(int from, int to)
    {
        foreach (var value in Past) RowOf(value, from).CopyTo(RowOf(value, to));
        slots[to] = [.. slots[from]];
    }

    /// <inheritdoc/>
    protected override void TruncateRow(int row, int length) => Hide(row, from: length);

    // Hides the slots of a row's tokens from one on.
    private void Hide(int row, int from)
    {
        for (var (slot, token) = (0, 0); slot < slots[row].Count; slot++)
            if (slots[row][slot] == 1 && token++ >= from) slots[row][slot] = 0;
    }

    private OrtValue Packed(OrtValue cache, int longest)
    {
        var shape = cache.GetTensorTypeAndShape().Shape;                                                       // [B, G, P, D]
        var packed = OnnxInferenceModel.Zeros([shape[0], shape[1], longest, shape[3]]);
        var (heads, width) = ((int)shape[1], (int)shape[3]);
        for (var row = 0; row < slots.Length; row++)
        {
            var from = RowOf(cache, row);
            var to = RowOf(packed, row);
            for (var (slot, token) = (0, 0); slot < PastSlots; slot++)
            {
                if (slots[row][slot] == 0) continue;
                for (var head = 0; head < heads; head++)
                    from.Slice((head * PastSlots + slot) * width, width).CopyTo(to[((head * longest + token) * width)..]);
                token++;
            }
        }
        cache.Dispose();
        return packed;
    }

    private Span<float> RowOf(OrtValue value, int row)
    {
        var all = value.GetTensorMutableDataAsSpan<float>();
        var count = all.Length / Lengths.Count;
        return all.Slice(row * count, count);
    }

    // What is filled in place comes back as itself.
    private void Release()
    {
        foreach (var value in Past) value.Dispose();
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        Release();
        Past = [];
    }
}
