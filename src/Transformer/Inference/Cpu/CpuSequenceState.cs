using Transformer.Distributed;

namespace Transformer.Inference.Cpu;

/// <summary>
/// What a <see cref="CpuInferenceModel"/> carries of several texts from one token to the next. Each row is a place for one text with a length of its own: rows begin, end
/// and are taken again without regard to the others.
/// </summary>
public sealed class CpuSequenceState : IDisposable
{
    private readonly CpuInferenceModel engine;
    private readonly MixerState[] layers;
    private readonly int[] lengths;

    internal CpuSequenceState(CpuInferenceModel engine, MixerState[] layers, int rows, int capacity)
    {
        (this.engine, this.layers, lengths, Capacity) = (engine, layers, new int[rows], capacity);
        CanTruncate = Array.TrueForAll(layers, layer => layer.CanTruncate);
    }

    /// <summary>For each row the number of tokens that it holds.</summary>
    public IReadOnlyList<int> Lengths => lengths;

    /// <summary>The most tokens that a row may have.</summary>
    public int Capacity { get; }

    /// <summary>The bytes that the state takes.</summary>
    public long Bytes => layers.Sum(layer => layer.Bytes);

    /// <summary>Whether the last tokens of a row can be forgotten: where all tokens are kept, not where a window or a recurrence overwrites them
    /// or where the angles of all keys follow the length.</summary>
    public bool CanTruncate { get; }

    internal MixerState Layer(int layer) => layers[layer];

    internal bool IsOf(CpuInferenceModel other) => engine == other;

    internal void Advance(int row, int tokens) => lengths[row] += tokens;

    /// <summary>Ends a row's text: the row is free for another.</summary>
    /// <exception cref="ArgumentOutOfRangeException">There is no such row.</exception>
    public void Clear(int row)
    {
        Check(row);
        foreach (var layer in layers) layer.Clear(row);
        lengths[row] = 0;
    }

    /// <summary>Forgets the last tokens of a row.</summary>
    /// <param name="row">The row.</param>
    /// <param name="length">How many tokens stay.</param>
    /// <exception cref="ArgumentOutOfRangeException">There is no such row, or it has fewer tokens.</exception>
    /// <exception cref="InvalidOperationException"><see cref="CanTruncate"/> is false.</exception>
    public void Truncate(int row, int length)
    {
        Check(row);
        if (length < 0 || length > lengths[row]) throw new ArgumentOutOfRangeException(nameof(length), length, $"the row has {lengths[row]} tokens");
        if (length == lengths[row]) return;
        if (length == 0)
        {
            Clear(row);
            return;
        }
        if (!CanTruncate) throw new InvalidOperationException("this model's state cannot forget single tokens: go back to a copy of the row");
        lengths[row] = length;
    }

    /// <summary>How many of a text's first tokens need not be read where a row has read others, by <see cref="Truncate"/>; its last token must be, for its logits.</summary>
    /// <param name="held">What the row has read.</param>
    /// <param name="text">What it shall have read; at least one token.</param>
    internal int CommonPrefix(ReadOnlySpan<int> held, ReadOnlySpan<int> text)
    {
        var common = Math.Min(held.CommonPrefixLength(text), text.Length - 1);
        return CanTruncate || common == held.Length ? common : 0;
    }

    /// <summary>Makes a row equal to another: both go on from the same text.</summary>
    /// <exception cref="ArgumentOutOfRangeException">There is no such row.</exception>
    public void Copy(int from, int to)
    {
        Check(from);
        Check(to);
        if (from == to) return;
        foreach (var layer in layers) layer.Copy(from, to, lengths[from]);
        lengths[to] = lengths[from];
    }

    // Behind the rows lies memory that nobody guards.
    private void Check(int row)
    {
        if ((uint)row >= (uint)lengths.Length) throw new ArgumentOutOfRangeException(nameof(row), row, $"the state has {lengths.Length} rows");
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var layer in layers) layer.Dispose();
    }
}
