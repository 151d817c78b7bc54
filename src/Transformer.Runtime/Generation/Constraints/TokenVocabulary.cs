using Transformer.Tokenization;

namespace Transformer.Generation.Constraints;

/// <summary>A tokenizer's tokens as constraints look at them: by their bytes.</summary>
internal sealed class TokenVocabulary
{
    private readonly Tokenizer tokenizer;
    private readonly TokenTrie within;
    private readonly Lazy<TokenTrie> first;

    /// <param name="tokenizer">What the tokens mean.</param>
    /// <param name="size">How many of them there are to choose from.</param>
    public TokenVocabulary(Tokenizer tokenizer, int size)
    {
        (this.tokenizer, Size) = (tokenizer, size);
        Ends = [.. new[] { tokenizer.EndOfText, tokenizer.BeginOfText }.OfType<int>().Where(token => token < size)];
        within = Trie(token => tokenizer.BytesOf(token, previous: token).ToArray());    // behind any token but the one that begins a text
        first = new(() => Trie(token => tokenizer.BytesOf(token, tokenizer.BeginOfText).ToArray()));
    }

    /// <summary>How many tokens there are.</summary>
    public int Size { get; }

    /// <summary>The tokens with which a text ends: the one that says so, and the one that begins the next.</summary>
    public IReadOnlyList<int> Ends { get; }

    /// <summary>Whether a token begins a text, so that other bytes may follow for the same tokens.</summary>
    public bool Begins(int token) => token == tokenizer.BeginOfText;

    /// <summary>The tokens of text.</summary>
    /// <param name="atBeginning">Whether they follow a token that begins a text.</param>
    public TokenTrie Trie(bool atBeginning) => atBeginning ? first.Value : within;

    /// <summary>The bytes of a token.</summary>
    public ReadOnlySpan<byte> BytesOf(int token, int previous) => tokenizer.BytesOf(token, previous);

    private TokenTrie Trie(Func<int, byte[]> bytesOf) => new(Enumerable.Range(0, Size).Except(Ends), bytesOf, Size);
}
