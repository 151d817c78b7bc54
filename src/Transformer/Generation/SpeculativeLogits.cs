using Transformer.Inference.Cpu;

namespace Transformer.Generation;

// V vocabulary · K guesses

/// <summary>
/// Logits of one row, with guesses read ahead (Leviathan et al. 2023): a pass over the last token and K guesses takes about as long as one over the token alone.
/// As long as the token that is chosen is the one that was guessed, its successor's logits are there already; else the state forgets the rest. The logits are
/// those of single steps to the last bit.
/// </summary>
internal sealed class SpeculativeLogits : NextLogits
{
    private readonly CpuInferenceModel engine;
    private readonly CpuSequenceState state;
    private readonly Proposer proposer;
    private readonly int[] guesses;
    private readonly int[] tokens;
    private int guessed, place;
    private int passes, allGuessed, accepted;

    /// <param name="engine">The engine; it stays the caller's. Its states can forget.</param>
    /// <param name="state">A state of one row; it ends with this.</param>
    /// <param name="proposer">What guesses; it ends with this.</param>
    /// <param name="guesses">K, the most guesses of a pass; no more than the state can hold are made.</param>
    public SpeculativeLogits(CpuInferenceModel engine, CpuSequenceState state, Proposer proposer, int guesses)
    {
        (this.engine, this.state, this.proposer, this.guesses) = (engine, state, proposer, new int[guesses]);
        tokens = new int[guesses + 1];
    }

    /// <inheritdoc/>
    public override SpeculationCount Speculation => new(passes, allGuessed, accepted);

    /// <inheritdoc/>
    public override void Read(GenerationRow[] rows)
    {
        var unread = rows[0].UnreadTokens;
        var length = rows[0].Window.Count;
        if (unread.Length == 1 && length > 1 && place < guessed && guesses[place] == unread[0])
        {
            place++;
            accepted++;
            return;
        }
        state.Truncate(0, length - unread.Length);
        // The last token of all needs no successor.
        var room = Math.Min(Math.Min(guesses.Length, state.Capacity - length), rows[0].Remaining - 1);
        guessed = room > 0 ? proposer.Propose(rows[0].WindowTokens, guesses.AsSpan(0, room)) : 0;
        if (unread.Length > 1) engine.Read(state, [0], [unread.Length - 1], unread[..^1]);    // nobody asks for the logits of all these
        tokens[0] = unread[^1];
        guesses.AsSpan(0, guessed).CopyTo(tokens.AsSpan(1));
        engine.Read(state, [0], [1 + guessed], tokens.AsSpan(0, 1 + guessed), all: true);
        (place, passes, allGuessed) = (0, passes + 1, allGuessed + guessed);
    }

    /// <inheritdoc/>
    public override Span<float> Of(int row) => engine.LogitsOf(place);

    /// <inheritdoc/>
    public override DraftToken DraftTokenOf(int row) => place < guessed ? new(guesses[place], proposer.ProbabilitiesOf(place)) : default;

    /// <inheritdoc/>
    public override void Dispose()
    {
        proposer.Dispose();
        state.Dispose();
    }
}
