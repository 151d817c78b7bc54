namespace Transformer.Inference;

/// <summary>The text whose state a file holds.</summary>
/// <param name="Json">What else its continuation depends on.</param>
/// <param name="Tokens">All tokens of the text.</param>
internal sealed record StateText(string Json, int[] Tokens);
