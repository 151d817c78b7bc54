using Transformer.Evaluation;
using static TorchSharp.torch;

namespace Transformer.Onnx;

// B rows · T tokens · V vocabulary

/// <summary>Measures models that ONNX Runtime computes, as <see cref="ModelEvaluation"/> measures ours.</summary>
public static class OnnxEvaluation
{
    /// <summary>The loss over a text, in windows as <see cref="TextEvaluation.Measure"/> has them.</summary>
    /// <param name="model">What predicts.</param>
    /// <param name="text">What it predicts.</param>
    /// <param name="cancellation">Ends the measurement between two batches.</param>
    public static EvaluationResult Measure(OnnxInferenceModel model, TextEvaluation text, CancellationToken cancellation = default) =>
        ModelEvaluation.Measure(
            text.Batches(model.Config), batch => Logits(model, batch.Inputs, batch.Rows, batch.Columns), cancellation);

    // [B, T, V]
    private static Tensor Logits(OnnxInferenceModel model, long[] ids, int rows, int columns)
    {
        using var state = model.NewState(rows);
        model.Read(state, [.. Enumerable.Range(0, rows)], [.. Enumerable.Repeat(columns, rows)], [.. ids.Select(id => (int)id)], all: true);
        return tensor(model.AllLogits, rows, columns, model.Config.VocabularySize!.Value);
    }
}
