using Transformer.Configuration;
using Transformer.Data;
using Transformer.Evaluation;
using Transformer.Model;
using static TorchSharp.torch;

namespace Transformer.Training;

/// <summary>One optimizer step: forward and backward over one or more batches, clipping, update. Gives back numbers, no tensors.</summary>
public static class TrainingStep
{
    /// <summary>What a step gives back.</summary>
    /// <param name="Loss">The mean loss of the step's batches before the update, in nats a token; the z-loss is not part of it.</param>
    /// <param name="GradientNorm">The length of the gradient before clipping.</param>
    public readonly record struct Result(double Loss, double GradientNorm)
    {
        /// <summary>Whether both are numbers. Where they are not, the parameters were left as they were.</summary>
        public bool IsFinite => double.IsFinite(Loss) && double.IsFinite(GradientNorm);
    }

    /// <param name="model">The model, in training mode.</param>
    /// <param name="space">Its parameters; gradients are zero before and after.</param>
    /// <param name="optimizer">The rule of the update.</param>
    /// <param name="config">Clipping and z-loss.</param>
    /// <param name="schedule">The share of the peak learning rate that holds now.</param>
    /// <param name="batches">The batches whose gradients are added up.</param>
    /// <param name="scaler">What keeps small gradients from being lost in fp16; told how the step went. Null for other types.</param>
    /// <exception cref="NonFiniteLossException">The scaler has nothing left to try.</exception>
    public static Result Run(
        TransformerModel model, ParameterSpace space, Optimizer optimizer, TrainingConfig config, double schedule, IReadOnlyList<Batch> batches,
        GradientScaler? scaler = null)
    {
        using var scope = NewDisposeScope();
        var predictions = batches.Sum(batch => batch.Predictions);
        var loss = batches.Sum(batch => Backward(model, batch, config.ZLoss, (double)batch.Predictions / predictions, scaler));
        scaler?.Unscale([space.Gradients]);
        var norm = space.GradientNorm();
        var result = new Result(loss, norm);
        if (result.IsFinite)
        {
            // The coefficient of torch's clip_grad_norm_, min(1, clip / (norm + 1e-6)), as what gradients are divided by.
            var excess = config.GradientClip is { } clip ? Math.Max(1, (norm + 1e-6) / clip) : 1;
            optimizer.Step(schedule, excess == 1 ? null : tensor((float)excess, device: model.Device));
            model.Constrain();
        }
        space.ZeroGradients();
        scaler?.Update(result.IsFinite);
        return result;
    }

    // Batches count by the tokens that they predict, so that however many they are, the gradient is that of the mean over all tokens.
    private static double Backward(TransformerModel model, Batch batch, double zLoss, double share, GradientScaler? scaler)
    {
        using var scope = NewDisposeScope();
        var (inputs, targets) = BatchTensors.On(batch, model.Device);
        var (hidden, penalty) = model.HiddenAndPenalty(inputs);
        (hidden, targets) = BatchTensors.Labelled(hidden, targets, batch);
        var logits = model.Logits(hidden);
        var loss = LanguageModelLoss.CrossEntropy(logits, targets);
        var penalized = zLoss == 0 ? loss : loss + zLoss * LanguageModelLoss.SquaredPartition(logits, targets);
        if (penalty is not null) penalized = penalized + penalty;
        if (share != 1) penalized = penalized * share;
        (scaler?.Scaled(penalized) ?? penalized).backward();
        return loss.item<float>() * share;
    }
}
