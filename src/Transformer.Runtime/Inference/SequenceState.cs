namespace Transformer.Inference;

/// <summary>
/// Everything that a model carries from one token to the next, for several texts. Each row holds one text of its own length: rows begin,
/// end and are reused independently of each other. Made by <see cref="InferenceModel.NewState"/>.
/// </summary>
public abstract class SequenceState : IDisposable
{
    private readonly object owner;
    private readonly int[] lengths;

    /// <param name="owner">The model that reads with it.</param>
    /// <param name="rows">How many texts it holds.</param>
    /// <param name="capacity">The most tokens of a text.</param>
    internal SequenceState(object owner, int rows, int capacity) => (this.owner, lengths, Capacity) = (owner, new int[rows], capacity);

    /// <summary>For each row the number of tokens that it holds.</summary>
    public IReadOnlyList<int> Lengths => lengths;

    /// <summary>The most tokens that a row may have.</summary>
    public int Capacity { get; }

    /// <summary>The size of the state in bytes.</summary>
    public abstract long Bytes { get; }

    /// <summary>
    /// Whether the last tokens of a row can be dropped: true where all tokens are kept, false where a window or a recurrence overwrites
    /// them or where the angles of all keys follow the length. If false, keep a copy of the row to go back to.
    /// </summary>
    public abstract bool CanTruncate { get; }

    /// <summary>Ends a row's text: the row is free for another.</summary>
    /// <exception cref="ArgumentOutOfRangeException">There is no such row.</exception>
    public void Clear(int row)
    {
        Check(row);
        ClearRow(row);
        lengths[row] = 0;
    }

    /// <summary>Copies a row to another, so that both continue the same text.</summary>
    /// <exception cref="ArgumentOutOfRangeException">There is no such row.</exception>
    public void Copy(int from, int to)
    {
        Check(from);
        Check(to);
        if (from == to) return;
        CopyRow(from, to);
        lengths[to] = lengths[from];
    }

    /// <summary>Drops the last tokens of a row.</summary>
    /// <param name="row">The row.</param>
    /// <param name="length">How many tokens stay.</param>
    /// <exception cref="ArgumentOutOfRangeException">There is no such row, or it has fewer tokens.</exception>
    /// <exception cref="InvalidOperationException"><see cref="CanTruncate"/> is false, and some but not all tokens would be
    /// dropped.</exception>
    public void Truncate(int row, int length)
    {
        Check(row);
        if (length < 0 || length > lengths[row])
            throw new ArgumentOutOfRangeException(nameof(length), length, $"the row has {lengths[row]} tokens");
        if (length == lengths[row]) return;
        if (length == 0)
        {
            Clear(row);
            return;
        }
        if (!CanTruncate) throw new InvalidOperationException("this model's state cannot drop single tokens: go back to a copy of the row");
        TruncateRow(row, length);
        lengths[row] = length;
    }

    /// <summary>Whether tokens within a text can be dropped, because keys are rotated by where they stand in the cache.</summary>
    internal virtual bool CanDrop => false;

    /// <summary>Drops tokens within a row: those behind them move up, and positions count what is left.</summary>
    /// <param name="row">The row.</param>
    /// <param name="first">The first token to be dropped.</param>
    /// <param name="count">How many are dropped.</param>
    /// <exception cref="ArgumentOutOfRangeException">There is no such row, or it has fewer tokens.</exception>
    /// <exception cref="InvalidOperationException"><see cref="CanDrop"/> is false.</exception>
    internal void Drop(int row, int first, int count)
    {
        Check(row);
        if (!CanDrop) throw new InvalidOperationException("this state cannot drop tokens within a text");
        if (first < 0 || count < 0 || (long)first + count > lengths[row])
            throw new ArgumentOutOfRangeException(nameof(count), count, $"the row has {lengths[row]} tokens, {first} before the first one");
        if (count == 0) return;
        DropTokens(row, first, count);
        lengths[row] -= count;
    }

    /// <summary>
    /// Saves all rows to a file, from which <see cref="InferenceModel.LoadState"/> of the same model continues bit-identically.
    /// </summary>
    /// <param name="path">The file, replaced if it exists.</param>
    /// <param name="tokenizerHash">A hash of the tokenizer; null where it does not matter.</param>
    /// <exception cref="Configuration.InputException">The file cannot be written, or ranks share the model.</exception>
    public void Save(string path, string? tokenizerHash = null)
    {
        var model = owner as InferenceModel ?? throw new InvalidOperationException("only the state of an InferenceModel can be saved");
        model.RefuseUnsavable();
        StateFile.Write(path, model, this, tokenizerHash);
    }

    /// <summary>
    /// How many of a text's first tokens need not be read again in a row that holds others. The last token is always read, for its logits.
    /// </summary>
    /// <param name="held">The tokens that the row holds.</param>
    /// <param name="text">The tokens that it is to hold, at least one.</param>
    internal int ReusablePrefix(ReadOnlySpan<int> held, ReadOnlySpan<int> text)
    {
        var common = Math.Min(held.CommonPrefixLength(text), text.Length - 1);
        return CanTruncate || common == held.Length ? common : 0;
    }

    internal bool BelongsTo(object model) => owner == model;

    // The rows are backed by memory without bounds checks.
    internal void Check(int row)
    {
        if ((uint)row >= (uint)lengths.Length)
            throw new ArgumentOutOfRangeException(nameof(row), row, $"the state has {lengths.Length} rows");
    }

    /// <summary>Begins a row's next segment: what is remembered of this one stays, and the row holds no tokens.</summary>
    internal void Carry(int row)
    {
        Check(row);
        CarryRow(row);
        lengths[row] = 0;
    }

    /// <summary>Adds to the number of tokens that a row holds.</summary>
    internal void Advance(int row, int tokens) => lengths[row] += tokens;

    /// <summary>Sets the lengths of empty rows whose parts are loaded next.</summary>
    internal void Prepare(IReadOnlyList<int> lengths)
    {
        for (var row = 0; row < this.lengths.Length; row++) this.lengths[row] = lengths[row];
        PrepareParts();
    }

    /// <summary>The parts of a row's state.</summary>
    internal abstract IEnumerable<StatePart> Parts(int row);

    /// <summary>Allocates the parts of rows of the present lengths.</summary>
    internal virtual void PrepareParts()
    {
    }

    /// <summary>Resets a row to an empty text.</summary>
    protected abstract void ClearRow(int row);

    /// <summary>Keeps what is remembered of a row's segment, and nothing else.</summary>
    private protected virtual void CarryRow(int row) => ClearRow(row);

    /// <summary>Copies a row to another.</summary>
    protected abstract void CopyRow(int from, int to);

    /// <summary>
    /// Drops all but the first tokens of a row, at least one. There is nothing to do where only the length says which slots count.
    /// </summary>
    protected virtual void TruncateRow(int row, int length)
    {
    }

    /// <summary>Drops tokens within a row, where <see cref="CanDrop"/> is true.</summary>
    private protected virtual void DropTokens(int row, int first, int count) => throw new NotSupportedException();

    /// <inheritdoc/>
    public abstract void Dispose();
}
