using Transformer.Configuration;
using Transformer.Data;
using Transformer.Distributed;
using Transformer.Model;
using Transformer.Tokenization;

namespace Transformer.Evaluation;

/// <summary>A text as tokens to predict, and the length of what is predicted.</summary>
/// <param name="Tokens">The tokens; the first one is only read, the others are predicted.</param>
/// <param name="Bytes">The UTF-8 bytes of the tokens that are predicted, for bits per byte.</param>
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
        if (tokenizer.BeginOfText is { } begin) ids.Insert(0, begin);
        if (ids.Count < 2)
            throw new InputException($"{text.Name}: {ids.Count} token, but the first one is only read; expected two or more.");
        return new(new TokenArray([.. ids]), ids.Zip(ids.Skip(1), (previous, id) => (long)tokenizer.BytesOf(id, previous).Length).Sum());
    }

    /// <summary>The validation text of a corpus. The corpus keeps the tokens.</summary>
    public static TextEvaluation Of(Corpus corpus)
    {
        var first = new long[1];
        corpus.Validation.Read(0, first);
        return new(corpus.Validation, corpus.ValidationBytes - corpus.Tokenizer.BytesOf((int)first[0]).Length);
    }

    /// <summary>
    /// The loss over all windows, one after the other, each of the model's context or, where the text is shorter, of its length. A model
    /// that remembers reads them as one stream.
    /// </summary>
    /// <param name="model">The model.</param>
    /// <param name="cancellation">Ends the measurement between two batches.</param>
    public EvaluationResult Measure(TransformerModel model, CancellationToken cancellation = default) =>
        ModelEvaluation.Measure(model, Batches(model.Config), cancellation);

    /// <summary>The windows or segments for a model.</summary>
    internal IEnumerable<Batch> Batches(ModelConfig model)
    {
        var length = (int)Math.Min(model.ContextLength, Tokens.Length - 1);
        return model.HasSegments
            ? ValidationBatches.Streams(new TextSegments(Tokens, length, boundary: null), rows: 1)
            : ValidationBatches.Full(Tokens, BatchSize, length);
    }

    /// <inheritdoc/>
    public void Dispose() => Tokens.Dispose();
}
