using Transformer.Configuration;
using Transformer.Data;
using Transformer.Evaluation;
using Transformer.Model;
using Transformer.Native;
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
    /// <param name="profile">Told what takes how long; null where nobody asks.</param>
    public static Result Run(
        TransformerModel model, ParameterSpace space, Optimizer optimizer, TrainingConfig config, double schedule, IReadOnlyList<Batch> batches,
        StepProfile? profile = null)
    {
        using var scope = NewDisposeScope();
        var predictions = batches.Sum(batch => batch.Predictions);
        var loss = batches.Sum(batch => Backward(model, batch, config, (double)batch.Predictions / predictions, profile));
        var norm = Norm(space, profile);
        var result = new Result(loss, norm);
        using var update = profile?.Measure("update");
        if (result.IsFinite)
        {
            // The coefficient of torch's clip_grad_norm_, min(1, clip / (norm + 1e-6)), as what gradients are divided by.
            var excess = config.GradientClip is { } clip ? Math.Max(1, (norm + 1e-6) / clip) : 1;
            optimizer.Step(schedule, excess == 1 ? null : tensor((float)excess, device: model.Device));
            model.Constrain();
        }
        space.ZeroGradients();
        return result;
    }

    private static double Norm(ParameterSpace space, StepProfile? profile)
    {
        using var _ = profile?.Measure("gradient norm");
        return space.GradientNorm();
    }

    // Batches count by the tokens that they predict, so that however many they are, the gradient is that of the mean over all tokens.
    private static double Backward(TransformerModel model, Batch batch, TrainingConfig config, double share, StepProfile? profile)
    {
        using var scope = NewDisposeScope();
        var recomputation = config.ActivationCheckpointing ? new Recomputation() : null;
        var (loss, penalized) = Forward(model, batch, config, recomputation, profile);
        using (profile?.Measure("backward pass")) (share == 1 ? penalized : penalized * share).backward();
        recomputation?.ThrowIfFailed();
        return loss.item<float>() * share;
    }

    private static (Tensor Loss, Tensor Penalized) Forward(
        TransformerModel model, Batch batch, TrainingConfig config, Recomputation? recomputation, StepProfile? profile)
    {
        using var _ = profile?.Measure("forward pass");
        var (inputs, targets) = BatchTensors.On(batch, model.Device);
        var (hidden, penalty) = model.HiddenAndPenalty(inputs, recomputation);
        (hidden, targets) = BatchTensors.Labelled(hidden, targets, batch);
        using var head = profile?.Measure("head and loss");
        var (loss, penalized) = model.Loss(hidden, targets, config.ZLoss);
        return (loss, penalty is null ? penalized : penalized + penalty);
    }
}
