using System.Text.Json.Serialization;
using Transformer.Configuration;
using Transformer.Generation.Constraints;

namespace Transformer.Generation;

/// <summary>
/// How the next token is chosen from the logits. The steps follow each other as in Hugging Face's generation: repetition penalty,
/// temperature, top-k, top-p, min-p, then a draw in proportion to what is left.
/// </summary>
public sealed record SamplingOptions : IValidated
{
    /// <summary>The highest temperature; at it all tokens are as good as equally likely.</summary>
    public const double HighestTemperature = 1e6;

    /// <summary>The bounds of the repetition penalty: beyond them logits no longer fit a float.</summary>
    public const double LeastPenalty = 0.01, GreatestPenalty = 100;

    /// <summary>
    /// What logits are divided by: below 1 likely tokens become more likely; 0 always takes the most probable token (greedy decoding).
    /// </summary>
    public double Temperature { get; init; } = 1;

    /// <summary>
    /// Only the k most probable tokens stay, and those as probable as the last of them (Fan et al. 2018, arXiv:1805.04833). All if absent.
    /// </summary>
    public int? TopK { get; init; }

    /// <summary>
    /// Only the smallest set of most probable tokens stays whose probabilities add up to this (Holtzman et
    /// al. 2019, arXiv:1904.09751). All if absent.
    /// </summary>
    public double? TopP { get; init; }

    /// <summary>
    /// Only tokens stay that are at least this many times as probable as the most probable one (Nguyen et al. 2024, arXiv:2407.01082). All
    /// if absent.
    /// </summary>
    public double? MinP { get; init; }

    /// <summary>
    /// What the logit of every token that occurred in the prompt or the text so far is divided by where it is positive and multiplied by
    /// where it is negative (Keskar et al. 2019, arXiv:1909.05858, in Hugging Face's form); 1 is none, 1.2 the paper's choice.
    /// </summary>
    public double RepetitionPenalty { get; init; } = 1;

    /// <summary>
    /// Where the random numbers start. Each row of a batch has a stream of its own, made from the seed and the row's number.
    /// </summary>
    public long Seed { get; init; } = 1337;

    /// <summary>The greatest number of tokens that are generated per row.</summary>
    public int MaxTokens { get; init; } = 200;

    /// <summary>Texts that end a row. They are not part of its text.</summary>
    public IReadOnlyList<string> Stop { get; init; } = [];

    /// <summary>
    /// What a row's text must match as a whole: tokens that cannot follow are excluded before all other steps. A row ends when nothing more
    /// can follow; if it reaches its greatest number of tokens before, its text is incomplete. No constraint if absent.
    /// </summary>
    [JsonIgnore]
    public TextConstraint? Constraint { get; init; }

    /// <summary>The options that always take the most probable token.</summary>
    public static SamplingOptions Greedy { get; } = new() { Temperature = 0 };

    /// <inheritdoc/>
    public IEnumerable<ConfigProblem> Problems()
    {
        if (Temperature is not (>= 0 and <= HighestTemperature))
            yield return new("temperature", $"found {Temperature}, expected 0 (greedy) to {HighestTemperature}");
        if (TopK is < 1) yield return new("top_k", $"found {TopK}, expected 1 or more");
        if (TopP is not (null or (> 0 and <= 1))) yield return new("top_p", $"found {TopP}, expected more than 0 and at most 1");
        if (MinP is not (null or (>= 0 and <= 1))) yield return new("min_p", $"found {MinP}, expected 0 or more and at most 1");
        if (RepetitionPenalty is not (>= LeastPenalty and <= GreatestPenalty))
            yield return new(
                "repetition_penalty", $"found {RepetitionPenalty}, expected {LeastPenalty} to {GreatestPenalty} (1 is none)");
        if (MaxTokens < 1) yield return new("max_tokens", $"found {MaxTokens}, expected 1 or more");
        if (Stop.Contains("")) yield return new("stop", "found an empty text, expected at least one character");
    }

    /// <summary>Throws if an option is wrong; the message lists all that are.</summary>
    internal void Check()
    {
        var problems = Problems().ToList();
        if (problems.Count > 0) throw new InputException(string.Join("\n", problems));
    }
}
