namespace Transformer.Data;

/// <summary>What a sample of a model's writing continues.</summary>
/// <param name="Tokens">At least one.</param>
/// <param name="Answer">Where there is a right answer, its number of tokens; null where the model may write what it likes.</param>
public sealed record SamplePrompt(int[] Tokens, int? Answer = null);
