namespace Transformer.Data;

/// <summary>The prompt of a sample.</summary>
/// <param name="Tokens">At least one.</param>
/// <param name="Answer">The number of tokens of the right answer; null where there is none.</param>
public sealed record SamplePrompt(int[] Tokens, int? Answer = null);
