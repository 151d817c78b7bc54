using System.Text.Json;
using Transformer.Configuration;
using Transformer.Files;
using Transformer.Formats;
using Transformer.Runs;

namespace Transformer.Data;

/// <summary>A folder of token files: train.tokens, validation.tokens, the tokenizer and corpus.json.</summary>
public static class PreparedCorpus
{
    private const string TrainingName = "train.tokens", ValidationName = "validation.tokens", DescriptionName = "corpus.json";

    private static readonly JsonSerializerOptions Format = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        RespectRequiredConstructorParameters = true,
        RespectNullableAnnotations = true,
        WriteIndented = true,
    };

    /// <summary>Whether a folder is there that <see cref="Prepare"/> wrote.</summary>
    public static bool IsAt(string path) => File.Exists(Path.Combine(path, DescriptionName));

    /// <summary>Turns a text of any length into token files. The folder appears when it is complete.</summary>
    /// <param name="config">The text, its split and its tokenizer.</param>
    /// <param name="folder">A folder that does not exist yet, or is empty.</param>
    /// <param name="report">Called from time to time with the share of the text that is done, from 0 to 1.</param>
    /// <exception cref="InputException">The text is wrong, or the folder holds something or cannot be written.</exception>
    public static void Prepare(DataConfig config, string folder, Action<double>? report = null)
    {
        folder = Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder));
        if (File.Exists(folder) || (Directory.Exists(folder) && Directory.EnumerateFileSystemEntries(folder).Any()))
        {
            throw new InputException($"{folder}: already exists and is not empty; name a new folder for the token files");
        }
        var text = new CorpusText(config);
        DurableFolder.Write(folder, partial => Write(text, config, partial, report));
    }

    internal static Corpus Open(DataConfig config)
    {
        var folder = config.Path!;
        if (config.ValidationPath is { } path)
        {
            throw new InputException(
                $"data.validation_path: found {path}, but the prepared {folder} has its own validation tokens; leave it out");
        }
        var description = ReadDescription(Path.Combine(folder, DescriptionName));
        var tokenizer = TokenizerFolder.Read(Path.Combine(folder, TokenizerFolder.FileName));
        var training = TokenFile.Open(Path.Combine(folder, TrainingName));
        try
        {
            var validation = TokenFile.Open(Path.Combine(folder, ValidationName));
            var corpus = new Corpus(folder, tokenizer, training, validation, description.ValidationBytes, description.Checksum);
            if (training.Length == description.TrainingTokens && validation.Length == description.ValidationTokens
                && training.VocabularySize == tokenizer.VocabularySize
                && validation.VocabularySize == tokenizer.VocabularySize) return corpus;
            corpus.Dispose();
            throw new InputException(
                $"{folder}: token files, tokenizer.json and corpus.json do not belong together; prepare the text again");
        }
        catch (InputException)
        {
            training.Dispose();
            throw;
        }
    }

    private static void Write(CorpusText text, DataConfig config, string folder, Action<double>? report)
    {
        var (training, validation) = (new TokenStatistics(text.Tokenizer), new TokenStatistics(text.Tokenizer));
        TokenizerFolder.Write(folder, text.Tokenizer);
        TokenFile.Write(Path.Combine(folder, TrainingName), text.Tokenizer.VocabularySize, Reported(training.Through(text.Training())));
        TokenFile.Write(
            Path.Combine(folder, ValidationName), text.Tokenizer.VocabularySize, Reported(validation.Through(text.Validation())));
        var description = new Description(
            config.Path!, config.ValidationPath, TokenStatistics.Checksum(training, validation), training.Tokens, validation.Tokens,
            validation.Bytes);
        DurableFile.Write(Path.Combine(folder, DescriptionName), stream => JsonSerializer.Serialize(stream, description, Format));

        IEnumerable<int[]> Reported(IEnumerable<int[]> pieces)
        {
            foreach (var ids in pieces)
            {
                yield return ids;
                report?.Invoke((double)(training.Bytes + validation.Bytes) / text.ByteLength);
            }
        }
    }

    private static Description ReadDescription(string path)
    {
        try
        {
            return JsonSerializer.Deserialize<Description>(WholeFile.Bytes(path), Format) ?? throw new JsonException("found null");
        }
        catch (Exception e) when (e is JsonException or IOException or UnauthorizedAccessException)
        {
            throw new InputException($"{path}: cannot be read ({JsonProblem.Of(e)}); prepare the text again", e);
        }
    }

    /// <summary>corpus.json.</summary>
    private sealed record Description(
        string Source, string? ValidationSource, string Checksum, long TrainingTokens, long ValidationTokens, long ValidationBytes);
}
