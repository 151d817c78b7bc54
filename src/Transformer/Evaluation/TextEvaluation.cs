using Transformer.Configuration;
using Transformer.Data;
using Transformer.Distributed;
using Transformer.Model;
using Transformer.Tokenization;

namespace Transformer.Evaluation;

/// <summary>A text as tokens to predict, and its length.</summary>
/// <param name="Tokens">The tokens; the first one is only read, the others are predicted.</param>
/// <param name="Bytes">The UTF-8 bytes of the text.</param>
public sealed record TextEvaluation(TokenSequence Tokens, long Bytes) : IDisposable
{
    private const int BatchSize = 8;

    /// <summary>The text in a model's tokens, with the begin-of-text token before it if the tokenizer has one.</summary>
    /// <exception cref="InputException">The text cannot be read, has characters that the tokenizer lacks, or is shorter than two
    /// tokens.</exception>
    public static TextEvaluation Of(TextSource text, Tokenizer tokenizer)
    {
        var ids = new List<int>();
        using (var reader = text.Open())
            foreach (var piece in tokenizer.Encode(reader)) ids.AddRange(piece);
        var bytes = ids.Sum(id => (long)tokenizer.BytesOf(id).Length);
        if (tokenizer.BeginOfText is { } begin) ids.Insert(0, begin);
        if (ids.Count < 2)
            throw new InputException($"{text.Name}: {ids.Count} token, but the first one is only read; expected two or more.");
        return new(new TokenArray([.. ids]), bytes);
    }

    /// <summary>
    /// The loss over all windows, one after the other, each of the model's context or, where the text is shorter, of its length.
    /// </summary>
    /// <param name="model">The model.</param>
    /// <param name="cancellation">Ends the measurement between two batches.</param>
    public EvaluationResult Measure(TransformerModel model, CancellationToken cancellation = default) =>
        ModelEvaluation.Measure(model, Batches(model.Config.ContextLength), cancellation);

    /// <summary>The windows for a model of this context.</summary>
    internal IEnumerable<Batch> Batches(int contextLength) =>
        ValidationBatches.Full(Tokens, BatchSize, (int)Math.Min(contextLength, Tokens.Length - 1));

    /// <inheritdoc/>
    public void Dispose() => Tokens.Dispose();
}
