namespace Transformer.Generation.Constraints;

// V vocabulary

/// <summary>The tokens that may follow: one bit per token.</summary>
/// <param name="vocabularySize">V.</param>
internal sealed class TokenMask(int vocabularySize)
{
    private const int Bits = 64;
    private readonly ulong[] words = new ulong[(vocabularySize + Bits - 1) / Bits];

    /// <summary>Whether a token of text is among them.</summary>
    public bool AllowsText { get; private set; }

    /// <summary>Whether a token is among them.</summary>
    public bool Allows(int token) => (words[token / Bits] >> token % Bits & 1) != 0;

    /// <summary>Adds a token of text.</summary>
    public void AddText(int token)
    {
        Add(token);
        AllowsText = true;
    }

    /// <summary>Adds a token.</summary>
    public void Add(int token) => words[token / Bits] |= 1UL << token % Bits;

    /// <summary>Sets the logits of all others to minus infinity.</summary>
    /// <param name="logits">[V]</param>
    public void Apply(Span<float> logits)
    {
        for (var word = 0; word < words.Length; word++)
        {
            if (words[word] == ulong.MaxValue) continue;
            var part = logits[(word * Bits)..Math.Min(logits.Length, (word + 1) * Bits)];
            for (var bit = 0; bit < part.Length; bit++)
                if ((words[word] >> bit & 1) == 0) part[bit] = float.NegativeInfinity;
        }
    }
}
