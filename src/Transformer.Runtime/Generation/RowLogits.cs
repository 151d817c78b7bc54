using Transformer.Inference;

namespace Transformer.Generation;

// V vocabulary

/// <summary>
/// The logits of a generation's rows, step by step. Rows that have ended are left out, and one whose window
/// was cut is read again beside the others.
/// </summary>
internal class RowLogits : IDisposable
{
    private readonly int[] live, counts, outputOf;
    private int[] tokens;

    /// <param name="model">The model; it stays the caller's.</param>
    /// <param name="state">A state of as many rows, which this disposes.</param>
    public RowLogits(InferenceModel model, SequenceState state)
    {
        var rows = state.Lengths.Count;
        (Model, State) = (model, state);
        (live, counts, outputOf, tokens) = (new int[rows], new int[rows], new int[rows], new int[rows]);
    }

    /// <summary>The counts of speculative decoding so far; null without it.</summary>
    public virtual SpeculationCount? Speculation => null;

    /// <summary>The model.</summary>
    protected InferenceModel Model { get; }

    /// <summary>The state.</summary>
    public SequenceState State { get; }

    /// <summary>Reads the new tokens of each running row: its whole window at first and after a cut, else its last token.</summary>
    /// <returns>Whether there are logits; false where a long prompt was cancelled while it was read.</returns>
    public virtual bool Read(GenerationRow[] rows, CancellationToken cancellation)
    {
        for (var row = 0; row < rows.Length; row++)
            if (rows[row] is { Finished: null, Window.IsTooLong: true } && !ReadWithSinks(rows[row], row, cancellation)) return false;
        var (parts, total) = (0, 0);
        for (var row = 0; row < rows.Length; row++)
        {
            if (rows[row].Finished is not null) continue;
            var unread = rows[row].UnreadTokens;
            if (unread.Length == rows[row].Window.Count) State.Clear(row);
            if (tokens.Length < total + unread.Length) Array.Resize(ref tokens, 2 * (total + unread.Length));
            unread.CopyTo(tokens.AsSpan(total));
            (live[parts], counts[parts], outputOf[row]) = (row, unread.Length, parts);
            (parts, total) = (parts + 1, total + unread.Length);
        }
        Model.Read(State, live.AsSpan(0, parts), counts.AsSpan(0, parts), tokens.AsSpan(0, total));
        return true;
    }

    // A token is dropped before the next one is read, so that what the model sees does not depend on how a text came: all at once, token
    // by token, or in several calls.
    private bool ReadWithSinks(GenerationRow row, int index, CancellationToken cancellation)
    {
        var window = row.Window;
        if (State.Lengths[index] < window.Capacity) Read(window.Capacity - State.Lengths[index]);
        while (window.IsTooLong)
        {
            if (row.Unread > 1 && State.Lengths[index] < window.Capacity) Read(1);
            if (cancellation.IsCancellationRequested) return false;
            State.Drop(index, ContextWindow.Sinks, 1);
            window.Drop(ContextWindow.Sinks, 1);
        }
        return true;

        void Read(int count)
        {
            Model.Read(State, [index], [count], row.UnreadTokens[..count]);
            row.Unread -= count;
        }
    }

    /// <summary>The logits of a row's next token after <see cref="Read"/>; the caller may overwrite them.</summary>
    /// <returns>[V]</returns>
    public virtual Span<float> Of(int row) => Model.Logits(outputOf[row]);

    /// <summary>The draft of a row's next token, where there is one.</summary>
    public virtual DraftToken DraftTokenOf(int row) => default;

    /// <inheritdoc/>
    public virtual void Dispose() => State.Dispose();
}
