using System.Text.Json.Serialization;

namespace Transformer.Configuration;

/// <summary>How text becomes tokens.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "kind")]
[JsonDerivedType(typeof(CharacterTokenizerConfig), "character")]
[JsonDerivedType(typeof(ByteTokenizerConfig), "byte")]
[JsonDerivedType(typeof(BpeTokenizerConfig), "bpe")]
[JsonDerivedType(typeof(FileTokenizerConfig), "file")]
public abstract record TokenizerConfig;

/// <summary>One token a Unicode character of the corpus, in code-point order.</summary>
public sealed record CharacterTokenizerConfig : TokenizerConfig;

/// <summary>One token a UTF-8 byte: 256 tokens, any text.</summary>
public sealed record ByteTokenizerConfig : TokenizerConfig;

/// <summary>Byte-level byte-pair encoding in GPT-2's format (Radford et al. 2019).</summary>
public sealed record BpeTokenizerConfig : TokenizerConfig
{
    /// <summary>Token to id, GPT-2's vocab.json.</summary>
    public required string Vocabulary { get; init; }

    /// <summary>The merges in order of rank, GPT-2's merges.txt.</summary>
    public required string Merges { get; init; }
}

/// <summary>An existing tokenizer.json, such as that of the model whose weights a run begins with.</summary>
public sealed record FileTokenizerConfig : TokenizerConfig
{
    /// <summary>A tokenizer.json, as checkpoints and Hugging Face's folders have it.</summary>
    public required string Path { get; init; }
}
