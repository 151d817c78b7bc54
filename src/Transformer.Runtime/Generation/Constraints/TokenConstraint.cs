namespace Transformer.Generation.Constraints;

// V vocabulary

/// <summary>The state of one row's text in its constraint.</summary>
/// <param name="masks">The constraint, shared by the rows.</param>
/// <param name="previous">The last token of the prompt.</param>
internal sealed class TokenConstraint(TokenMasks masks, int previous)
{
    private AutomatonState state = masks.Start;
    private int previous = previous;

    /// <summary>Whether the text is complete and nothing can follow.</summary>
    /// <exception cref="Configuration.InputException">The text is not complete, but nothing can follow.</exception>
    public bool IsComplete => state.Accepts && !Allowed.AllowsText;

    /// <summary>Sets the logits of tokens that must not follow to minus infinity.</summary>
    /// <param name="logits">[V]</param>
    /// <exception cref="Configuration.InputException">No token can follow.</exception>
    public void Mask(Span<float> logits) => Allowed.Apply(logits);

    /// <summary>Appends the sampled token.</summary>
    public void Append(int token) => (state, previous) = (masks.After(state, token, previous), token);

    /// <summary>Appends a token that may not be allowed.</summary>
    /// <returns>Whether it is.</returns>
    public bool TryAppend(int token)
    {
        if (!Allowed.Allows(token)) return false;
        Append(token);
        return true;
    }

    private TokenMask Allowed => masks.Of(state, previous);
}
