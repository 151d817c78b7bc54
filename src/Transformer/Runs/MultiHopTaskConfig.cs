using Transformer.Configuration;

namespace Transformer.Runs;

/// <summary>
/// Recall over several hops: key/value pairs scattered among blanks, each value being the key of another pair, then queries: a number of
/// hops and a key, to be answered with the value that so many hops lead to. Training rows ask for one hop up to all of them, validation
/// rows for all. Length is T, the tokens of a row.
/// </summary>
public sealed record MultiHopTaskConfig : TaskConfig
{
    private const int MostHops = 64;

    /// <inheritdoc/>
    public override int Length { get; init; } = 64;

    /// <summary>The most hops of a query.</summary>
    public int Hops { get; init; } = 2;

    /// <summary>K, the key/value pairs of a row; from each key all others can be reached.</summary>
    public int Pairs { get; init; } = 8;

    /// <summary>The queries at the end of a row, two tokens each.</summary>
    public int Queries { get; init; } = 8;

    /// <summary>The number of different symbols, which are keys and values.</summary>
    public int Symbols { get; init; } = 16;

    private protected override string? LengthProblem(int length) => length < 2L * (Pairs + (long)Queries)
        ? $"expected {2L * (Pairs + (long)Queries)} or more: two tokens for each of the {Pairs} pairs and the {Queries} queries"
        : null;

    private protected override IEnumerable<ConfigProblem> OwnProblems()
    {
        if (Hops is < 1 or > MostHops) yield return new("hops", $"found {Hops}, expected 1 to {MostHops}");
        foreach (var problem in AtLeast(1, "queries", Queries)) yield return problem;
        if (Pairs <= Hops || Pairs > Most)
        {
            yield return new(
                "pairs", $"found {Pairs}, expected {Hops + 1L} to {Most}: more than hops, which would else lead back to the key");
        }
        if (Symbols < Pairs || Symbols > Most)
            yield return new("symbols", $"found {Symbols}, expected {Pairs} to {Most}: a key of its own for each of the {Pairs} pairs");
    }
}
