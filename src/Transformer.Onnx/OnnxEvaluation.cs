using Transformer.Evaluation;
using Transformer.Generation;
using static TorchSharp.torch;

namespace Transformer.Onnx;

// B rows · T tokens · V vocabulary

/// <summary>Measures models that ONNX Runtime computes, as <see cref="ModelEvaluation"/> and <see cref="ModelComparison"/> measure ours.</summary>
public static class OnnxEvaluation
{
    /// <summary>The loss over a text, in windows as <see cref="TextEvaluation.Measure"/> has them.</summary>
    /// <param name="model">What predicts.</param>
    /// <param name="text">What it predicts.</param>
    /// <param name="cancellation">Ends the measurement between two batches.</param>
    public static EvaluationResult Measure(OnnxModel model, TextEvaluation text, CancellationToken cancellation = default) => ModelEvaluation.Measure(
        text.Batches(model.Config.ContextLength),
        batch => Logits(model, batch.Inputs, batch.Rows, batch.Columns),
        cancellation);

    /// <summary>How far an exported model is from what it was made of.</summary>
    public static ModelComparison Compare(LoadedModel original, OnnxModel copy) =>
        ModelComparison.Of(original, text => Logits(copy, [.. text.Select(id => (long)id)], 1, text.Length).squeeze(0), copy.Generator(original.Tokenizer));

    // [B, T, V]
    private static Tensor Logits(OnnxModel model, long[] ids, int rows, int columns)
    {
        using var state = model.NewState(rows);
        var numbers = model.Read(state, [.. Enumerable.Range(0, rows)], [.. Enumerable.Repeat(columns, rows)], [.. ids.Select(id => (int)id)], all: true);
        return tensor(numbers, rows, columns, model.Config.VocabularySize!.Value);
    }
}
