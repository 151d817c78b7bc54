namespace Transformer.Generation;

// V vocabulary

/// <summary>A draft of a text's next token.</summary>
/// <param name="token">The token x.</param>
/// <param name="probabilities">q, by which it was drawn: [V]. Empty where it was not drawn but is certain, or where there is no
/// draft.</param>
internal readonly ref struct DraftToken(int token, ReadOnlySpan<float> probabilities)
{
    /// <summary>The token x.</summary>
    public int Token { get; } = token;

    /// <summary>q: [V], or empty.</summary>
    public ReadOnlySpan<float> Probabilities { get; } = probabilities;
}
