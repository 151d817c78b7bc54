using System.Text.Json.Serialization;
using Transformer.Configuration;

namespace Transformer.Runs;

/// <summary>
/// A task with generated rows, which tests directly what a mechanism can and cannot do. A row is a function of the seed, the split
/// (training or validation) and its number.
/// </summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "kind")]
[JsonDerivedType(typeof(MqarTaskConfig), "mqar")]
[JsonDerivedType(typeof(AssociativeRetrievalTaskConfig), "associative_retrieval")]
[JsonDerivedType(typeof(CopyTaskConfig), "copy")]
[JsonDerivedType(typeof(ReverseTaskConfig), "reverse")]
[JsonDerivedType(typeof(SelectiveCopyTaskConfig), "selective_copy")]
[JsonDerivedType(typeof(InductionHeadsTaskConfig), "induction_heads")]
[JsonDerivedType(typeof(AdditionTaskConfig), "addition")]
[JsonDerivedType(typeof(ParityTaskConfig), "parity")]
[JsonDerivedType(typeof(ModularAdditionTaskConfig), "modular_addition")]
[JsonDerivedType(typeof(MultiHopTaskConfig), "multi_hop")]
[JsonDerivedType(typeof(NoisyRecallTaskConfig), "noisy_recall")]
[JsonDerivedType(typeof(MemorizationTaskConfig), "memorization")]
[JsonDerivedType(typeof(SortOfClevrTaskConfig), "sort_of_clevr")]
[JsonDerivedType(typeof(CaptionedScenesTaskConfig), "captioned_scenes")]
public abstract record TaskConfig : IValidated
{
    // Of tokens in a row, and of different symbols.
    private protected const int Most = 1 << 20;

    /// <summary>Another seed is another set of rows. The order in which training sees them follows training.seed.</summary>
    public int Seed { get; init; }

    /// <summary>The number of rows to train on, each once per epoch in a new order every time; default: fresh rows without end.</summary>
    public virtual int? TrainingRows { get; init; }

    /// <summary>The number of validation rows.</summary>
    public virtual int ValidationRows { get; init; } = 1000;

    /// <summary>The size of a training row, in the task's unit.</summary>
    public virtual int Length { get; init; }

    /// <summary>
    /// The size of a validation row, if it differs from training, to test whether the model generalises to it.
    /// </summary>
    public virtual int? ValidationLength { get; init; }

    /// <inheritdoc/>
    public IEnumerable<ConfigProblem> Problems()
    {
        if (TrainingRows is < 1) yield return new("training_rows", $"found {TrainingRows}, expected 1 or more");
        if (ValidationRows < 1) yield return new("validation_rows", $"found {ValidationRows}, expected 1 or more");
        (string Key, int? Value)[] lengths = [("length", Length), ("validation_length", ValidationLength)];
        foreach (var (key, value) in lengths)
        {
            if (value is not { } length) continue;
            if (length > Most) yield return new(key, $"found {length}, expected {Most} at most");
            else if (LengthProblem(length) is { } problem) yield return new(key, $"found {length}, {problem}");
        }
        foreach (var problem in OwnProblems()) yield return problem;
    }

    /// <summary>What was expected, if the task has no rows of this size; else null.</summary>
    private protected virtual string? LengthProblem(int length) => length < 1 ? "expected 1 or more" : null;

    /// <summary>The problems of the keys that only this kind has.</summary>
    private protected abstract IEnumerable<ConfigProblem> OwnProblems();

    private protected static IEnumerable<ConfigProblem> AtLeast(int least, string key, int value)
    {
        if (value < least || value > Most) yield return new(key, $"found {value}, expected {least} to {Most}");
    }
}

/// <summary>
/// Multi-query associative recall (Arora et al. 2023, Zoology): key/value pairs, then each key once more, to be answered with its value.
/// Length is T, the tokens of a row.
/// </summary>
public sealed record MqarTaskConfig : TaskConfig
{
    /// <inheritdoc/>
    public override int Length { get; init; } = 64;

    /// <summary>K, the key/value pairs of a row and its queries.</summary>
    public int Pairs { get; init; } = 4;

    /// <summary>V, the number of tokens: keys are drawn from the lower half (0 excepted), values from the upper.</summary>
    public int Vocabulary { get; init; } = 8192;

    /// <summary>
    /// a, how queries spread over the row: the g-th position after the pairs has a weight of g^(a-1), so that 1 is uniform and small values
    /// are near.
    /// </summary>
    public double Power { get; init; } = 0.01;

    /// <summary>Whether the remaining positions hold random tokens of the whole vocabulary, as in Zoology, or token 0.</summary>
    public bool RandomFilling { get; init; } = true;

    private protected override string? LengthProblem(int length) =>
        length < 4L * Pairs ? $"expected {4L * Pairs} or more: two tokens for each of the {Pairs} pairs and two for each query" : null;

    private protected override IEnumerable<ConfigProblem> OwnProblems()
    {
        foreach (var problem in AtLeast(1, "pairs", Pairs)) yield return problem;
        if (Vocabulary > Most) yield return new("vocabulary", $"found {Vocabulary}, expected {Most} at most");
        if (Vocabulary / 2 - 1 < Pairs)
            yield return new(
                "vocabulary",
                $"found {Vocabulary}, expected {2 * (Pairs + 1L)} or more, for {Pairs} different keys in its lower half beside 0");
    }
}

/// <summary>
/// Associative retrieval (Schlag et al. 2021), with tokens in place of vectors: key/value pairs, then one of the keys, to be answered with
/// its value. Length is S, the pairs of a row.
/// </summary>
public sealed record AssociativeRetrievalTaskConfig : TaskConfig
{
    /// <inheritdoc/>
    public override int Length { get; init; } = 10;

    /// <summary>The number of different keys.</summary>
    public int Keys { get; init; } = 32;

    /// <summary>The number of different values; they may occur several times in a row.</summary>
    public int Values { get; init; } = 32;

    /// <summary>Whether a key may be given again, so that its last value counts and the earlier one has to be forgotten.</summary>
    public bool Replacement { get; init; }

    /// <summary>How many of the keys are asked for, each once.</summary>
    public int Queries { get; init; } = 1;

    private protected override string? LengthProblem(int length) => length < Queries
        ? $"expected {Queries} or more, a pair for each of the queries"
        : !Replacement && length > Keys
        ? $"but there are only {Keys} keys; lower it, raise keys, or set replacement: true"
        : base.LengthProblem(length);

    private protected override IEnumerable<ConfigProblem> OwnProblems() =>
    [
        .. AtLeast(1, "keys", Keys), .. AtLeast(2, "values", Values), .. AtLeast(1, "queries", Queries),
        .. Replacement && Queries > 1
            ? [new ConfigProblem("queries", "with replacement a row may have one key only; leave one of the two out")]
            : (ConfigProblem[])[],
    ];
}

/// <summary>Symbols, a bar, and the symbols again. Length is the number of symbols.</summary>
public sealed record CopyTaskConfig : TaskConfig
{
    private const int MostCopies = 64;

    /// <inheritdoc/>
    public override int Length { get; init; } = 16;

    /// <summary>The number of different symbols.</summary>
    public int Symbols { get; init; } = 10;

    /// <summary>How many times the symbols are repeated behind the bar.</summary>
    public int Copies { get; init; } = 1;

    private protected override IEnumerable<ConfigProblem> OwnProblems()
    {
        foreach (var problem in AtLeast(2, "symbols", Symbols)) yield return problem;
        if (Copies is < 1 or > MostCopies) yield return new("copies", $"found {Copies}, expected 1 to {MostCopies}");
    }
}

/// <summary>Symbols, a bar, and the symbols from the last to the first. Length is the number of symbols.</summary>
public sealed record ReverseTaskConfig : TaskConfig
{
    /// <inheritdoc/>
    public override int Length { get; init; } = 16;

    /// <summary>The number of different symbols.</summary>
    public int Symbols { get; init; } = 10;

    private protected override IEnumerable<ConfigProblem> OwnProblems() => AtLeast(2, "symbols", Symbols);
}

/// <summary>
/// Selective copying (Gu and Dao 2023): a few symbols scattered among blanks, a bar, and the symbols in their order. Length is the number
/// of positions before the bar.
/// </summary>
public sealed record SelectiveCopyTaskConfig : TaskConfig
{
    /// <inheritdoc/>
    public override int Length { get; init; } = 48;

    /// <summary>How many of the positions hold a symbol.</summary>
    public int Marked { get; init; } = 8;

    /// <summary>The number of different symbols.</summary>
    public int Symbols { get; init; } = 10;

    private protected override string? LengthProblem(int length) =>
        length < Marked ? $"expected {Marked} or more, a position for each of the marked symbols" : base.LengthProblem(length);

    private protected override IEnumerable<ConfigProblem> OwnProblems() =>
        [.. AtLeast(1, "marked", Marked), .. AtLeast(2, "symbols", Symbols)];
}

/// <summary>
/// Induction heads (Olsson et al. 2022, in the form of Dao et al. 2022): random symbols with a star somewhere among them and at the end, to
/// be answered with what followed the first one. Length is the tokens of a row.
/// </summary>
public sealed record InductionHeadsTaskConfig : TaskConfig
{
    /// <inheritdoc/>
    public override int Length { get; init; } = 64;

    /// <summary>The number of different symbols beside the star.</summary>
    public int Symbols { get; init; } = 15;

    private protected override string? LengthProblem(int length) =>
        length < 3 ? "expected 3 or more: a star, what follows it, and the star again" : null;

    private protected override IEnumerable<ConfigProblem> OwnProblems() => AtLeast(2, "symbols", Symbols);
}

/// <summary>
/// The sum of two numbers, digit by digit: 0 3 9 + 5 0 4 = 0 5 4 3. Length is the digits of a summand; the sum has one more.
/// </summary>
public sealed record AdditionTaskConfig : TaskConfig
{
    /// <inheritdoc/>
    public override int Length { get; init; } = 3;

    /// <summary>Whether the sum is written from its last digit to its first, in the order in which carries arise.</summary>
    public bool Reversed { get; init; }

    private protected override IEnumerable<ConfigProblem> OwnProblems() => [];
}

/// <summary>
/// Parity: random bits, each to be answered with the parity of the bits so far, its own included. Length is the number of bits.
/// </summary>
public sealed record ParityTaskConfig : TaskConfig
{
    /// <inheritdoc/>
    public override int Length { get; init; } = 40;

    private protected override IEnumerable<ConfigProblem> OwnProblems() => [];
}
