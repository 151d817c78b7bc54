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
        var wasTraining = model.training;
        model.eval();
        try
        {
            using var _ = inference_mode();
            var (loss, tokens, correct) = (0.0, 0L, 0L);
            foreach (var batch in batches)
            {
                cancellation.ThrowIfCancellationRequested();
                using var scope = NewDisposeScope();
                var (inputs, targets) = BatchTensors.On(batch, model.Device);
                (var hidden, targets) = BatchTensors.Labelled(model.Hidden(inputs), targets, batch);
                var logits = model.Logits(hidden);
                loss += LanguageModelLoss.CrossEntropy(logits, targets, reduction: nn.Reduction.Sum).item<float>();
                correct += (logits.argmax(-1) == targets).sum().item<long>();
                tokens += batch.Predictions;
            }
            return new EvaluationResult(loss / tokens, tokens, correct);
        }
        finally
        {
            model.train(wasTraining);
        }
    }
}
