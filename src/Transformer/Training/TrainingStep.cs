using Transformer.Configuration;
using Transformer.Data;
using Transformer.Distributed;
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
    public static Result Run(
        TransformerModel model, ParameterSpace space, Optimizer optimizer, TrainingConfig config, double schedule, IReadOnlyList<Batch> batches)
    {
        using var scope = NewDisposeScope();
        var result = new Result(Gradients(model, space, config, batches), space.GradientNorm());
        if (result.IsFinite)
        {
            // The coefficient of torch's clip_grad_norm_, min(1, clip / (norm + 1e-6)), as what gradients are divided by.
            var excess = config.GradientClip is { } clip ? Math.Max(1, (result.GradientNorm + 1e-6) / clip) : 1;
            optimizer.Step(schedule, excess == 1 ? null : tensor((float)excess, device: model.Device));
            space.Publish();
            if (model.HasBounds) space.WithAll(model.Constrain);
        }
        space.ZeroGradients();
        return result;
    }

    // The mean loss of the batches, of which each rank works on its rows; their gradients are in the space then.
    private static double Gradients(TransformerModel model, ParameterSpace space, TrainingConfig config, IReadOnlyList<Batch> batches)
    {
        using var ends = space.Gathered();
        double loss = 0, predictions = batches.Sum(batch => batch.Predictions);
        for (var i = 0; i < batches.Count; i++)
        {
            var share = batches[i].Share(space.Ranks.Rank, space.Ranks.Ranks);
            loss += space.Backward(i == batches.Count - 1, () => Backward(model, share, config, share.Predictions / predictions, space.ShardsParameters));
        }
        return space.Ranks.Sum(loss);
    }

    // Batches count by the tokens that they predict, so that however many they are, the gradient is that of the mean over all tokens.
    private static double Backward(TransformerModel model, Batch batch, TrainingConfig config, double share, bool recomputes)
    {
        using var scope = NewDisposeScope();
        var recomputation = config.ActivationCheckpointing || recomputes ? new Recomputation() : null;
        var (inputs, targets) = BatchTensors.On(batch, model.Device);
        var (hidden, penalty) = model.HiddenAndPenalty(inputs, recomputation);
        if (share == 0)
        {
            (0 * hidden.sum()).backward();    // nothing to predict among this rank's rows; the other ranks wait for its gradients all the same
            recomputation?.ThrowIfFailed();
            return 0;
        }
        (hidden, targets) = BatchTensors.Labelled(hidden, targets, batch);
        var (loss, penalized) = model.Loss(hidden, targets, config.ZLoss);
        if (penalty is not null) penalized = penalized + penalty;
        (share == 1 ? penalized : penalized * share).backward();
        recomputation?.ThrowIfFailed();
        return loss.item<float>() * share;
    }
}
