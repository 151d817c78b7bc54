namespace Transformer.Generation;

// V vocabulary

/// <summary>Proposes draft tokens for speculative decoding.</summary>
internal abstract class Proposer : IDisposable
{
    /// <summary>Proposes what follows.</summary>
    /// <param name="text">The tokens so far.</param>
    /// <param name="drafted">Where the draft tokens go; at least one.</param>
    /// <returns>How many there are.</returns>
    public abstract int Propose(ReadOnlySpan<int> text, Span<int> drafted);

    /// <summary>The probabilities q by which a draft token of the last call was drawn.</summary>
    /// <returns>[V]; empty where it was not drawn.</returns>
    public virtual ReadOnlySpan<float> ProbabilitiesOf(int draft) => default;

    /// <inheritdoc/>
    public abstract void Dispose();
}
