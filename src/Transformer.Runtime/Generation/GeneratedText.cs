namespace Transformer.Generation;

/// <summary>The result of one row of a generation.</summary>
/// <param name="Text">The continuation without the prompt, up to a stop string; empty where the generator has no tokenizer.</param>
/// <param name="Tokens">All tokens chosen, those of a stop string included, the one that ended the text not.</param>
/// <param name="FinishReason">Why the row ended.</param>
public sealed record GeneratedText(string Text, IReadOnlyList<int> Tokens, FinishReason FinishReason)
{
    /// <summary>
    /// How many tokens of the prompt were not read again, because a slot held them already (<see cref="ContinuousBatch"/>).
    /// </summary>
    public int ReusedTokens { get; init; }

    /// <summary>What the model no longer saw of prompt and text at their end; null where it saw all.</summary>
    public DroppedContext? Dropped { get; init; }

    /// <summary>The counts of speculative decoding; null without it.</summary>
    public SpeculationCount? Speculation { get; init; }
}
