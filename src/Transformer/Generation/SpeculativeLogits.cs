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
    private int[] tokens;
    private int guessed, place, firstPlace;

    /// <param name="engine">The engine; it stays the caller's. Its states can forget.</param>
    /// <param name="state">A state of one row.</param>
    /// <param name="guesses">K, the most guesses of a pass.</param>
    public SpeculativeLogits(DecodeEngine engine, DecodeState state, int guesses) =>
        (this.engine, this.state, this.guesses, tokens) = (engine, state, new int[guesses], new int[guesses + 1]);

    /// <inheritdoc/>
    public override void Read(GenerationRow[] rows)
    {
        var unread = rows[0].UnreadTokens;
        var (length, hit) = (rows[0].Window.Count, place - firstPlace);
        if (unread.Length == 1 && length > 1 && hit < guessed && guesses[hit] == unread[0])
        {
            place++;
            return;
        }
        state.Truncate(0, length - unread.Length);
        guessed = Math.Min(PromptLookup.Guess(rows[0].WindowTokens, guesses), state.Capacity - length);
        if (tokens.Length < unread.Length + guessed) tokens = new int[unread.Length + guesses.Length];
        unread.CopyTo(tokens);
        guesses.AsSpan(0, guessed).CopyTo(tokens.AsSpan(unread.Length));
        engine.Read(state, [0], [unread.Length + guessed], tokens.AsSpan(0, unread.Length + guessed), all: true);
        place = firstPlace = unread.Length - 1;
    }

    /// <inheritdoc/>
    public override Span<float> Of(int row) => engine.LogitsOf(place);

    /// <inheritdoc/>
    public override void Dispose() => state.Dispose();
}
