namespace Transformer.Tokenization;

/// <summary>What the files beside a tokenizer.json say about it.</summary>
internal sealed record TokenizerSettings
{
    /// <summary>Tokens that a text may name, by their contents.</summary>
    public IReadOnlyList<string> Names { get; init; } = [];

    /// <summary>Tokens that a text may name, with their ids.</summary>
    public IReadOnlyList<AddedToken> Added { get; init; } = [];

    /// <summary>The content of the token that begins a text.</summary>
    public string? Begin { get; init; }

    /// <summary>Whether texts begin with it; null where only the tokenizer.json says so.</summary>
    public bool? AddsBegin { get; init; }

    /// <summary>Whether nothing is to be known of the tokenizer but what its file says: what Llama's does by itself is not done.</summary>
    public bool IsGeneric { get; init; }
}
