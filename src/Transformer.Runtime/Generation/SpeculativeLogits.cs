using Transformer.Inference;

namespace Transformer.Generation;

// V vocabulary · K draft tokens

/// <summary>
/// Logits of one row, with draft tokens read ahead (Leviathan et al. 2023): a pass over the last token and K draft tokens takes about as
/// long as one over the token alone. While the chosen token is the draft token, its successor's logits have been computed already; else the
/// state drops the rest. A state that cannot drop tokens is restored from a copy of the row taken before the pass, and the accepted tokens
/// are read again.
/// </summary>
internal sealed class SpeculativeLogits : RowLogits
{
    private readonly Proposer proposer;
    private readonly int[] drafted;
    private readonly int[] tokens;
    private int row, draftedCount, output;
    private int passes, allDrafted, accepted;

    /// <param name="model">The model; it stays the caller's. A pass over several tokens must give the same as single steps.</param>
    /// <param name="capacity">The most tokens of the row.</param>
    /// <param name="proposer">What proposes draft tokens; this disposes it.</param>
    /// <param name="draftTokens">K, the most draft tokens of a pass; fewer where the state has no room.</param>
    public SpeculativeLogits(InferenceModel model, int capacity, Proposer proposer, int draftTokens) : base(model, StateOf(model, capacity))
    {
        (this.proposer, drafted) = (proposer, new int[draftTokens]);
        tokens = new int[draftTokens + 1];
    }

    /// <inheritdoc/>
    public override SpeculationCount Speculation => new(passes, allDrafted, accepted);

    /// <inheritdoc/>
    public override bool Read(GenerationRow[] rows, CancellationToken cancellation)
    {
        var text = rows[0].Window.Tokens;
        if (rows[0].Unread == 1 && text.Length > 1 && output < draftedCount && drafted[output] == text[^1])
        {
            output++;
            accepted++;
            return true;
        }
        GoBack(text.Length - rows[0].Unread);
        // The last token that may be generated needs no successor.
        var room = Math.Min(Math.Min(drafted.Length, State.Capacity - text.Length), rows[0].Remaining - 1);
        draftedCount = room > 0 ? proposer.Propose(text, drafted.AsSpan(0, room)) : 0;
        var unread = text[State.Lengths[row]..];
        if (unread.Length > 1) Model.Read(State, [row], [unread.Length - 1], unread[..^1]);    // without logits of each
        if (draftedCount > 0 && !State.CanTruncate) State.Copy(from: row, to: 1 - row);
        tokens[0] = unread[^1];
        drafted.AsSpan(0, draftedCount).CopyTo(tokens.AsSpan(1));
        Model.Read(State, [row], [1 + draftedCount], tokens.AsSpan(0, 1 + draftedCount), all: true);
        (output, passes, allDrafted) = (0, passes + 1, allDrafted + draftedCount);
        return true;
    }

    /// <inheritdoc/>
    public override Span<float> Of(int row) => Model.Logits(output);

    /// <inheritdoc/>
    public override DraftToken DraftTokenOf(int row) =>
        output < draftedCount ? new(drafted[output], proposer.ProbabilitiesOf(output)) : default;

    // Keeps so many tokens of the text, and drops the draft tokens read after them.
    private void GoBack(int length)
    {
        if (State.CanTruncate || length == 0 || length == State.Lengths[row]) State.Truncate(row, Math.Min(length, State.Lengths[row]));
        else row = 1 - row;
    }

    private static SequenceState StateOf(InferenceModel model, int capacity)
    {
        var state = model.NewState(rows: 1, capacity);
        if (state.CanTruncate) return state;
        state.Dispose();
        return model.NewState(rows: 2, capacity);
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        proposer.Dispose();
        base.Dispose();
    }
}
