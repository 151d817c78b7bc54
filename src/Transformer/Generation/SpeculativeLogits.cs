using Transformer.Generation.Decoding;

namespace Transformer.Generation;

// V vocabulary · K guesses

/// <summary>
/// Logits of one row, with guesses read ahead (Leviathan et al. 2023; here the guesses come from the text itself): a pass over the last token and K guesses takes
/// about as long as one over the token alone. As long as the token that is chosen is the one that was guessed, its successor's logits are there already; else
/// the state forgets the rest. Tokens are chosen as ever, from the same logits to the last bit, so that guessing changes the pace and nothing else.
/// </summary>
internal sealed class SpeculativeLogits : NextLogits
{
    private readonly DecodeEngine engine;
    private readonly DecodeState state;
    private readonly int[] guesses;
    private readonly int[] tokens;
    private int guessed, place;

    /// <param name="engine">The engine; it stays the caller's. Its states can forget.</param>
    /// <param name="state">A state of one row.</param>
    /// <param name="guesses">K, the most guesses of a pass; no more than the state can hold are made.</param>
    public SpeculativeLogits(DecodeEngine engine, DecodeState state, int guesses)
    {
        (this.engine, this.state, this.guesses) = (engine, state, new int[Math.Min(guesses, state.Capacity)]);
        tokens = new int[this.guesses.Length + 1];
    }

    /// <inheritdoc/>
    public override void Read(GenerationRow[] rows)
    {
        var unread = rows[0].UnreadTokens;
        var length = rows[0].Window.Count;
        if (unread.Length == 1 && length > 1 && place < guessed && guesses[place] == unread[0])
        {
            place++;
            return;
        }
        state.Truncate(0, length - unread.Length);
        guessed = Math.Min(PromptLookup.Guess(rows[0].WindowTokens, guesses), state.Capacity - length);
        if (unread.Length > 1) engine.Read(state, [0], [unread.Length - 1], unread[..^1]);    // nobody asks for the logits of all these
        tokens[0] = unread[^1];
        guesses.AsSpan(0, guessed).CopyTo(tokens.AsSpan(1));
        engine.Read(state, [0], [1 + guessed], tokens.AsSpan(0, 1 + guessed), all: true);
        place = 0;
    }

    /// <inheritdoc/>
    public override Span<float> Of(int row) => engine.LogitsOf(place);

    /// <inheritdoc/>
    public override void Dispose() => state.Dispose();
}
