namespace Transformer.Evaluation;

/// <summary>How well a model predicts its targets.</summary>
/// <param name="Loss">The mean of -ln p(token) over all predicted tokens, in nats per token.</param>
/// <param name="Tokens">The number of predicted tokens.</param>
/// <param name="Correct">How many of them had the greatest of all logits.</param>
public sealed record EvaluationResult(double Loss, long Tokens, long Correct)
{
    /// <summary>The share of the rows of each sort that are right in all of their answers; null where rows are of one sort.</summary>
    public IReadOnlyDictionary<string, double>? Rows { get; init; }

    /// <summary>e to the loss: the number of equally likely tokens among which the model is undecided.</summary>
    public double Perplexity => Math.Exp(Loss);

    /// <summary>The share of the tokens that greedy choice gets right, from 0 to 1.</summary>
    public double Accuracy => (double)Correct / Tokens;

    /// <summary>The loss of all predicted tokens in bits, divided by their length: comparable between tokenizers.</summary>
    /// <param name="bytes">The UTF-8 bytes of the predicted tokens, which <see cref="TextEvaluation.Bytes"/> counts.</param>
    public double BitsPerByte(long bytes) => Loss * Tokens / Math.Log(2) / bytes;
}
