using Transformer.Configuration;

namespace Transformer.Runs;

/// <summary>What a run learns from: a text with its tokenizer, a generated task, or texts with pictures.</summary>
public sealed record DataConfig : IValidated
{
    /// <summary>What the names of built-in corpora begin with.</summary>
    internal const string BuiltInPrefix = "builtin:";

    /// <summary>What the data are: text (default), task where one is given, or image_text.</summary>
    public DataKind? Kind { get => field ?? (Task is null ? DataKind.Text : DataKind.Task); init; }

    /// <summary>
    /// A text file, a folder of prepared token files, or a built-in corpus: <c>builtin:tinyshakespeare</c>, <c>builtin:names</c>. Of kind
    /// image_text: a .jsonl file with an object a line, text, images (files that are named from its folder) and answer. A relative path in
    /// a file counts from that file's folder, one of --set from the working directory.
    /// </summary>
    public string? Path { get; init; }

    /// <summary>A generated task instead of a text. It has its own tokens and validation rows.</summary>
    public TaskConfig? Task { get; init; }

    /// <summary>A second text to validate on; default: the end of the first one.</summary>
    public string? ValidationPath { get; init; }

    /// <summary>The fraction of the text, or of the rows, at its end that is held out for validation; default: 0.1.</summary>
    public double? ValidationFraction { get => field ?? (Task is null ? 0.1 : null); init; }

    /// <summary>The order in which training sees the windows of the text: shuffled (default), random or contiguous.</summary>
    public Sampling? Sampling { get => field ?? (Kind == DataKind.Text && Task is null ? Runs.Sampling.Shuffled : null); init; }

    /// <summary>
    /// How text becomes tokens; default: one token per character. Ignored for prepared token files, which have their own.
    /// </summary>
    public TokenizerConfig? Tokenizer { get => field ?? (Task is null ? new CharacterTokenizerConfig() : null); init; }

    /// <summary>
    /// A tokenizer whose pieces teach hourglasses with boundaries of kind pieces where groups end; absent for models without.
    /// </summary>
    public TokenizerConfig? Pieces { get; init; }

    /// <inheritdoc/>
    public IEnumerable<ConfigProblem> Problems()
    {
        if (Path is null && Task is null && Kind != DataKind.Task)
            yield return new(
                "path", "missing; expected a file, a folder or builtin:NAME here, or a generated task as data.task", Alternative: "task");
        if (Path is { Length: 0 }) yield return new("path", "found an empty path, expected a file, a folder or builtin:NAME");
        if (ValidationFraction is <= 0 or >= 1)
            yield return new("validation_fraction", $"found {ValidationFraction}, expected more than 0 and less than 1");
        if (Pieces is CharacterTokenizerConfig or ByteTokenizerConfig)
            yield return new(
                "pieces.kind", $"found {Configuration.Kind.NameOf(Pieces)}, whose pieces are no longer than tokens; expected bpe or file");
        if (Kind == DataKind.Task && Task is null) yield return new("task", "missing; expected a generated task, or another data.kind");
        if (Kind == DataKind.ImageText)
        {
            if (Sampling is not null) yield return new("sampling", "rows of image_text are shuffled in every epoch; leave it out");
            if (Pieces is not null) yield return new("pieces", "rows of image_text have no pieces; leave it out");
        }
        if (Task is null) yield break;
        if (Kind != DataKind.Task) yield return new("kind", $"found {Word(Kind)} beside task; leave it out");
        if (Path is not null) yield return new("path", $"found {Path} beside task; give one of the two");
        (string Key, object? Value)[] ofTexts =
            [("validation_path", ValidationPath), ("validation_fraction", ValidationFraction), ("sampling", Sampling),
                ("tokenizer", Tokenizer), ("pieces", Pieces)];
        foreach (var (key, value) in ofTexts)
            if (value is not null) yield return new(key, "found beside task, which has its own tokens and validation rows; leave it out");
    }

    private static string Word(DataKind? kind) => kind == DataKind.ImageText ? "image_text" : "text";
}
