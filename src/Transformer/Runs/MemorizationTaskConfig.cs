using Transformer.Configuration;

namespace Transformer.Runs;

/// <summary>
/// Memorization (Poli et al. 2024, MAD): keys, each followed by a blank at which its value is asked for. A key has one value in all rows,
/// drawn by the task's seed, so that it has to be learned by heart. Length is T, the tokens of a row.
/// </summary>
public sealed record MemorizationTaskConfig : TaskConfig
{
    /// <inheritdoc/>
    public override int Length { get; init; } = 32;

    /// <summary>The number of keys and of values; no two keys have the same value.</summary>
    public int Keys { get; init; } = 128;

    private protected override string? LengthProblem(int length) =>
        length < 2 || length % 2 != 0 ? "expected an even number from 2 on: a key and a blank for each question" : null;

    private protected override IEnumerable<ConfigProblem> OwnProblems() => AtLeast(2, "keys", Keys);
}
