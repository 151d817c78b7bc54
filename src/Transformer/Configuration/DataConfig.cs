namespace Transformer.Configuration;

/// <summary>Where the text comes from and how it becomes tokens.</summary>
public sealed record DataConfig : IValidated
{
    /// <summary>A text file, a folder of prepared token files, or a built-in corpus: <c>builtin:tinyshakespeare</c>, <c>builtin:names</c>.</summary>
    public required string Path { get; init; }

    /// <summary>A second text to validate on; where absent the end of the first one is kept for it.</summary>
    public string? ValidationPath { get; init; }

    /// <summary>The share of the text, at its end, that validates and is never trained on.</summary>
    public double ValidationFraction { get; init; } = 0.1;

    /// <summary>In which order training sees the windows of the text: shuffled or random.</summary>
    public Sampling Sampling { get; init; } = Sampling.Shuffled;

    /// <summary>How text becomes tokens. Ignored for prepared token files, which bring theirs.</summary>
    public TokenizerConfig Tokenizer { get; init; } = new CharacterTokenizerConfig();

    /// <inheritdoc/>
    public IEnumerable<ConfigProblem> Problems()
    {
        if (Path.Length == 0) yield return new("path", "found an empty path, expected a file, a folder or builtin:NAME");
        if (ValidationFraction is <= 0 or >= 1) yield return new("validation_fraction", $"found {ValidationFraction}, expected more than 0 and less than 1");
    }
}
