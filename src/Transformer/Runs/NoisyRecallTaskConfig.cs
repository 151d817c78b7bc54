using Transformer.Configuration;

namespace Transformer.Runs;

/// <summary>
/// Noisy in-context recall (Poli et al. 2024, MAD): key/value pairs with pairs of noise tokens among them. A key has one value in a row,
/// and wherever it comes again, it is to be answered with that. Length is T, the tokens of a row with the last answer.
/// </summary>
public sealed record NoisyRecallTaskConfig : TaskConfig
{
    /// <inheritdoc/>
    public override int Length { get; init; } = 64;

    /// <summary>The number of different keys.</summary>
    public int Keys { get; init; } = 8;

    /// <summary>The number of different values; several keys of a row may have the same.</summary>
    public int Values { get; init; } = 8;

    /// <summary>The probability with which two tokens of noise stand in the place of a pair.</summary>
    public double Noise { get; init; } = 0.2;

    /// <summary>The number of different noise tokens, which are neither keys nor values.</summary>
    public int NoiseSymbols { get; init; } = 16;

    private protected override string? LengthProblem(int length) =>
        length < 4 || length % 2 != 0 ? "expected an even number from 4 on: two tokens for each pair" : null;

    private protected override IEnumerable<ConfigProblem> OwnProblems()
    {
        foreach (var problem in AtLeast(1, "keys", Keys)) yield return problem;
        foreach (var problem in AtLeast(2, "values", Values)) yield return problem;
        if (!(Noise is >= 0 and < 1)) yield return new("noise", $"found {Noise}, expected 0 or more and less than 1");
        foreach (var problem in AtLeast(1, "noise_symbols", NoiseSymbols)) yield return problem;
    }
}
