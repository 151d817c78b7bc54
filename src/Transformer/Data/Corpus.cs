using Transformer.Configuration;
using Transformer.Runs;
using Transformer.Tokenization;

namespace Transformer.Data;

/// <summary>A text: tokens to train on, tokens to validate on, and the tokenizer that made them.</summary>
public sealed class Corpus : Dataset
{
    // 512 MiB of text are up to 2 GiB of tokens in memory.
    private const long MostBytesInMemory = 1L << 29;

    private readonly Dictionary<(TokenSequence Tokens, int Length), TextSegments> segments = [];

    internal Corpus(
        string path, Tokenizer tokenizer, TokenSequence training, TokenSequence validation, long validationBytes, string checksum)
    {
        (Name, Tokenizer, Training, Validation, ValidationBytes, Checksum) = (
            path, tokenizer, training, validation, validationBytes, checksum);
    }

    /// <summary>Where the text or the prepared folder lies.</summary>
    public override string Name { get; }

    /// <inheritdoc/>
    public override Tokenizer Tokenizer { get; }

    /// <summary>The tokens to train on.</summary>
    public TokenSequence Training { get; }

    /// <summary>The tokens to validate on; none of them is trained on.</summary>
    public TokenSequence Validation { get; }

    /// <summary>The UTF-8 bytes of the validation text.</summary>
    public long ValidationBytes { get; }

    /// <summary>xxHash-128 of all tokens, in hexadecimal: the same for the same corpus, as text or prepared.</summary>
    public override string Checksum { get; }

    /// <summary>Opens the corpus of a configuration: a text is tokenized into memory, a prepared folder is mapped.</summary>
    /// <exception cref="InputException">A file is missing or wrong, or a text is too long for the memory.</exception>
    public static new Corpus Open(DataConfig config)
    {
        var path = config.Path!;
        if (PreparedCorpus.IsAt(path)) return PreparedCorpus.Open(config);
        var text = new CorpusText(config);
        if (text.ByteLength > MostBytesInMemory)
        {
            throw new InputException(
                $"{path}: {text.ByteLength >> 20} MiB of text are too much for the memory. " +
                $"Write it as token files with `{ShellCommand.Of("data", "prepare", path, "--out", "FOLDER")}` " +
                "and give FOLDER as data.path");
        }
        var (training, validation) = (new TokenStatistics(text.Tokenizer), new TokenStatistics(text.Tokenizer));
        return new(
            path,
            text.Tokenizer,
            new TokenArray([.. training.Through(text.Training()).SelectMany(ids => ids)]),
            new TokenArray([.. validation.Through(text.Validation()).SelectMany(ids => ids)]),
            validation.Bytes,
            TokenStatistics.Checksum(training, validation));
    }

    /// <summary>Makes sure that both parts have at least one window and the token after it.</summary>
    /// <exception cref="InputException">A part is too short.</exception>
    public override void RequireContext(int contextLength, int segments = 1, int placesOfPicture = 1)
    {
        if (Training.Length <= (long)contextLength * segments)
        {
            throw segments == 1 ? TooShort("training", Training.Length, contextLength, "use a longer text") : new InputException(
                $"data: the training part has {Training.Length} tokens, but rows of {segments} segments of {contextLength} need at least " +
                $"{(long)contextLength * segments + 1}; use a longer text, or lower training.backpropagation_segments");
        }
        if (Validation.Length <= contextLength)
            throw TooShort("validation", Validation.Length, contextLength, "raise data.validation_fraction");
    }

    /// <inheritdoc/>
    public override TrainingBatches Train(RunConfig run, long position = 0) => run.Data.Pieces is { } pieces
        ? new PieceBatches(Windows(run, position), new PieceEnds(Tokenizer, Tokenizer.FromConfig(pieces)))
        : Windows(run, position);

    private TrainingBatches Windows(RunConfig run, long position) => run.Data.Sampling == Sampling.Contiguous
        ? new ContiguousSampler(Segments(Training, run.Model.ContextLength), run.Training.BatchSize, run.RowSegments, position)
        : new BatchSampler(Training, run.Training.BatchSize, run.RowTokens, run.Training.Seed, run.Data.Sampling!.Value, position);

    /// <inheritdoc/>
    public override IEnumerable<Batch> HeldOut(ModelConfig model, int batchSize, int? batches = null) => model.HasSegments
        ? ValidationBatches.Streams(Segments(Validation, model.ContextLength), batchSize, batches)
        : HeldOut(batchSize, model.ContextLength, batches);

    // The text is searched for ends of documents once.
    private TextSegments Segments(TokenSequence tokens, int length)
    {
        if (!segments.TryGetValue((tokens, length), out var known))
            segments.Add((tokens, length), known = new(tokens, length, Tokenizer.EndOfText ?? Tokenizer.BeginOfText));
        return known;
    }

    /// <inheritdoc/>
    public override IEnumerable<Batch> HeldOut(int batchSize, int contextLength, int? batches = null) => batches is { } count
        ? ValidationBatches.Estimate(Validation, batchSize, contextLength, count)
        : ValidationBatches.Full(Validation, batchSize, contextLength);

    /// <summary>
    /// A line break, as nanoGPT samples; the first validation token if the tokenizer has no line break.
    /// </summary>
    public override SamplePrompt SamplePrompt()
    {
        if (Tokenizer.BeginOfText is { } begin) return new([begin]);
        try
        {
            return new(Tokenizer.Encode("\n"));
        }
        catch (InputException)
        {
            var first = new long[1];
            Validation.Read(0, first);
            return new([(int)first[0]]);
        }
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            Training.Dispose();
            Validation.Dispose();
        }
        base.Dispose(disposing);
    }

    private static InputException TooShort(string part, long tokens, int contextLength, string remedy) =>
        new($"data: the {part} part has {tokens} tokens, but model.context_length {contextLength} needs at least {contextLength + 1L}; " +
            $"{remedy} or lower model.context_length");
}
