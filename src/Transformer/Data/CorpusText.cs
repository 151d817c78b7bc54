using Transformer.Configuration;
using Transformer.Formats;
using Transformer.Runs;
using Transformer.Tokenization;

namespace Transformer.Data;

/// <summary>The text of a configuration, split into training and validation and read as tokens, piece by piece.</summary>
internal sealed class CorpusText
{
    private readonly TextSource training;
    private readonly TextSource? validation;
    private readonly long trainingCharacters = long.MaxValue;

    /// <exception cref="InputException">A text or a file of the tokenizer is missing or wrong.</exception>
    public CorpusText(DataConfig config)
    {
        training = TextSource.At(config.Path!);
        validation = config.ValidationPath is { } path ? TextSource.At(path) : null;
        Tokenizer = validation is null
            ? TokenizerFolder.FromConfig(config.Tokenizer!, training.Open)
            : TokenizerFolder.FromConfig(config.Tokenizer!, training.Open, validation.Open);
        if (validation is not null) return;

        // nanoGPT's split: int(n * 0.9) characters train, the rest validates, each tokenized by itself.
        using var text = training.Open();
        trainingCharacters = (long)(LimitedTextReader.CountIn(text) * (1 - config.ValidationFraction!.Value));
    }

    public Tokenizer Tokenizer { get; }

    /// <summary>The length of the texts together, in bytes.</summary>
    public long ByteLength => training.ByteLength + (validation?.ByteLength ?? 0);

    public IEnumerable<int[]> Training()
    {
        using var text = training.Open();
        foreach (var ids in Tokenizer.Encode(new LimitedTextReader(text, trainingCharacters))) yield return ids;
    }

    public IEnumerable<int[]> Validation()
    {
        using var text = (validation ?? training).Open();
        if (validation is null) LimitedTextReader.CountIn(new LimitedTextReader(text, trainingCharacters));    // skips them
        foreach (var ids in Tokenizer.Encode(text)) yield return ids;
    }
}
