using Transformer.Data;
using Transformer.Model;
using static TorchSharp.torch;

namespace Transformer.Evaluation;

/// <summary>Measures a model's loss on batches. Dropout is off meanwhile, and no random number is drawn.</summary>
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
            var (loss, tokens) = (0.0, 0L);
            foreach (var batch in batches)
            {
                cancellation.ThrowIfCancellationRequested();
                using var scope = NewDisposeScope();
                var (inputs, targets) = BatchTensors.On(batch, model.Device);
                loss += LanguageModelLoss.CrossEntropy(model.call(inputs, null), targets, reduction: nn.Reduction.Sum).item<float>();
                tokens += batch.Predictions;
            }
            return new EvaluationResult(loss / tokens, tokens);
        }
        finally
        {
            model.train(wasTraining);
        }
    }
}
