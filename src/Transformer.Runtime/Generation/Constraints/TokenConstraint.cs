namespace Transformer.Generation.Constraints;

// V vocabulary

/// <summary>Where the text of one row stands in its constraint.</summary>
/// <param name="masks">The constraint, shared by the rows.</param>
/// <param name="previous">The last token of the prompt.</param>
internal sealed class TokenConstraint(TokenMasks masks, int previous)
{
    private AutomatonState state = masks.Start;
    private int previous = previous;

    /// <summary>Whether the text is whole and nothing can follow.</summary>
    /// <exception cref="Configuration.InputException">The text is not whole, and nothing can follow all the same.</exception>
    public bool IsComplete => state.Accepts && !Allowed.AllowsText;

    /// <summary>Makes tokens impossible that must not follow.</summary>
    /// <param name="logits">[V]</param>
    /// <exception cref="Configuration.InputException">None can.</exception>
    public void Mask(Span<float> logits) => Allowed.Apply(logits);

    /// <summary>Takes the token that was chosen.</summary>
    public void Append(int token) => (state, previous) = (masks.After(state, token, previous), token);

    private TokenMask Allowed => masks.Of(state, previous);
}
