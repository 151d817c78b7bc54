using Transformer.Tokenization;

namespace Transformer.Generation.Constraints;

/// <summary>A tokenizer's tokens by their bytes, for constraints.</summary>
internal sealed class TokenVocabulary
{
    private readonly Tokenizer tokenizer;
    private readonly TokenTrie within;
    private readonly Lazy<TokenTrie> first;

    /// <param name="tokenizer">The tokenizer.</param>
    /// <param name="size">The number of tokens of the model.</param>
    public TokenVocabulary(Tokenizer tokenizer, int size)
    {
        (this.tokenizer, Size) = (tokenizer, size);
        Ends = [.. tokenizer.StopTokens.Where(token => token < size)];
        within = Trie(token => tokenizer.BytesOf(token, previous: token).ToArray());    // after any token but begin-of-text
        first = new(() => Trie(token => tokenizer.BytesOf(token, tokenizer.BeginOfText).ToArray()));
    }

    /// <summary>The number of tokens.</summary>
    public int Size { get; }

    /// <summary>The tokens that end a text: end-of-text, and the begin-of-text of the next.</summary>
    public IReadOnlyList<int> Ends { get; }

    /// <summary>Whether a token is begin-of-text, after which tokens may have other bytes.</summary>
    public bool Begins(int token) => token == tokenizer.BeginOfText;

    /// <summary>The tokens of text.</summary>
    /// <param name="atBeginning">Whether they follow begin-of-text.</param>
    public TokenTrie Trie(bool atBeginning) => atBeginning ? first.Value : within;

    /// <summary>The bytes of a token.</summary>
    public ReadOnlySpan<byte> BytesOf(int token, int previous) => tokenizer.BytesOf(token, previous);

    private TokenTrie Trie(Func<int, byte[]> bytesOf) => new(Enumerable.Range(0, Size).Except(Ends), bytesOf, Size);
}
