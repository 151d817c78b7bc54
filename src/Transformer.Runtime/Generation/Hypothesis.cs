namespace Transformer.Generation;

/// <summary>A text that <see cref="BeamSearch"/> found.</summary>
/// <param name="Text">The continuation without the prompt; empty where the search has no tokenizer.</param>
/// <param name="Tokens">Its tokens, the one that ended the text not among them.</param>
/// <param name="FinishReason">Why it ended: by the model or for its length.</param>
/// <param name="LogProbability">The sum of its tokens' log-probabilities, that of the one that ended the text included.</param>
/// <param name="Score">By which texts are compared: the sum divided by the number of its tokens to the power of the length penalty.</param>
public sealed record Hypothesis(string Text, IReadOnlyList<int> Tokens, FinishReason FinishReason, double LogProbability, double Score);
