namespace Transformer.Generation;

// V vocabulary

/// <summary>What guesses how a text goes on, for speculative decoding.</summary>
internal abstract class Proposer : IDisposable
{
    /// <summary>DraftTokens what follows.</summary>
    /// <param name="text">The tokens so far.</param>
    /// <param name="guesses">A place for the guesses, at least one.</param>
    /// <returns>How many there are.</returns>
    public abstract int Propose(ReadOnlySpan<int> text, Span<int> guesses);

    /// <summary>The probabilities q by which a guess of the last call was drawn.</summary>
    /// <returns>[V]; empty where it was not drawn.</returns>
    public virtual ReadOnlySpan<float> ProbabilitiesOf(int guess) => default;

    /// <inheritdoc/>
    public abstract void Dispose();
}
