namespace Transformer.Generation;

/// <summary>What the model no longer saw of a text at its end.</summary>
/// <param name="Policy">Which tokens were dropped.</param>
/// <param name="Tokens">How many tokens of prompt and text.</param>
/// <param name="Turns">How many turns, under <see cref="ContextPolicy.Turns"/>.</param>
public sealed record DroppedContext(ContextPolicy Policy, int Tokens, int Turns);
