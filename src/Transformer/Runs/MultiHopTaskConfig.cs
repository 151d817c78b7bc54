using Transformer.Configuration;

namespace Transformer.Runs;

/// <summary>
/// Recall over several hops: key/value pairs scattered among blanks, each value being the key of another pair, then queries: a number of
/// hops and a key, to be answered with the value that so many hops lead to. Training rows ask for one hop up to all of them, validation
/// rows for all; with a chain of thought both do. Length is T, the tokens of a row.
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

    /// <summary>The queries at the end of a row.</summary>
    public int Queries { get; init; } = 8;

    /// <summary>The number of different symbols, which are keys and values.</summary>
    public int Symbols { get; init; } = 16;

    /// <summary>Whether every hop is answered in turn, each answer being read before the next, or the last one alone.</summary>
    public bool ChainOfThought { get; init; }

    /// <summary>The tokens of a query and of its answers but the last: a number of hops, a key, and the values on the way.</summary>
    internal int QueryTokens => ChainOfThought ? 1 + Hops : 2;

    private protected override string? LengthProblem(int length) => 3L * Pairs + (long)QueryTokens * Queries is var least && length < least
        ? $"expected {least} or more: 3 tokens for each of the {Pairs} pairs and {QueryTokens} for each of the {Queries} queries"
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
