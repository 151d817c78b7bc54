using Transformer.Data;
using Transformer.Model;
using static TorchSharp.torch;

namespace Transformer.Evaluation;

/// <summary>Measures a model's loss and accuracy on batches. Dropout is off meanwhile, and no random number is drawn.</summary>
public static class ModelEvaluation
{
    /// <param name="model">The model; its training mode is restored afterwards.</param>
    /// <param name="batches">What it predicts; targets of <see cref="Batch.IgnoredTarget"/> do not count.</param>
    /// <param name="cancellation">Ends the measurement between two batches.</param>
    public static EvaluationResult Measure(TransformerModel model, IEnumerable<Batch> batches, CancellationToken cancellation = default)
    {
        return WithoutDropout(model, () => Measure(batches, Predict, cancellation));

        (Tensor Logits, Tensor Targets) Predict(Batch batch)
        {
            var (inputs, targets) = BatchTensors.On(batch, model.Device);
            (var hidden, targets) = BatchTensors.Labelled(model.Hidden(inputs), targets, batch);
            return (model.Logits(hidden), targets);
        }
    }

    /// <param name="batches">What is predicted.</param>
    /// <param name="predict">The logits [B, T, V] of a batch and its targets [B, T]; of tokens without a target they may be left out.</param>
    /// <param name="cancellation">Ends the measurement between two batches.</param>
    internal static EvaluationResult Measure(
        IEnumerable<Batch> batches, Func<Batch, (Tensor Logits, Tensor Targets)> predict, CancellationToken cancellation)
    {
        using var _ = inference_mode();
        var (loss, tokens, correct) = (0.0, 0L, 0L);
        foreach (var batch in batches)
        {
            cancellation.ThrowIfCancellationRequested();
            using var scope = NewDisposeScope();
            var (logits, targets) = predict(batch);
            loss += LanguageModelLoss.CrossEntropy(logits, targets, reduction: nn.Reduction.Sum).item<float>();
            correct += (logits.argmax(-1) == targets).sum().item<long>();
            tokens += batch.Predictions;
        }
        return new EvaluationResult(loss / tokens, tokens, correct);
    }

    /// <summary>The mean spans of a model's learned windows on a batch, as <see cref="TransformerModel.MeanSpans"/> has them.</summary>
    public static IReadOnlyList<IReadOnlyList<float>>? MeanSpans(TransformerModel model, Batch batch)
    {
        using var _ = inference_mode();
        using var scope = NewDisposeScope();
        return WithoutDropout(model, () => model.MeanSpans(BatchTensors.On(batch, model.Device).Inputs));
    }

    private static T WithoutDropout<T>(TransformerModel model, Func<T> measure)
    {
        var wasTraining = model.training;
        model.eval();
        try
        {
            return measure();
        }
        finally
        {
            model.train(wasTraining);
        }
    }
}
