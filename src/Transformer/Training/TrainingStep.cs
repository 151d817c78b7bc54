using Transformer.Data;
using Transformer.Distributed;
using Transformer.Evaluation;
using Transformer.Model;
using Transformer.Native;
using Transformer.Runs;
using static TorchSharp.torch;

namespace Transformer.Training;

/// <summary>One optimizer step: forward and backward over one or more batches, clipping, update. Gives back numbers, no tensors.</summary>
/// <param name="model">The model, in training mode.</param>
/// <param name="space">Its parameters; gradients are zero before and after a step.</param>
/// <param name="optimizer">The rule of the update.</param>
/// <param name="config">Clipping, z-loss and what is computed again in the backward pass.</param>
public sealed class TrainingStep(TransformerModel model, ParameterSpace space, Optimizer optimizer, TrainingConfig config)
{
    /// <summary>What a step gives back.</summary>
    /// <param name="Loss">The mean loss of the step's batches before the update, in nats a token; the z-loss is not part of it.</param>
    /// <param name="GradientNorm">The length of the gradient before clipping.</param>
    public readonly record struct Result(double Loss, double GradientNorm)
    {
        /// <summary>Whether both are numbers. Where they are not, the parameters were left as they were.</summary>
        public bool IsFinite => double.IsFinite(Loss) && double.IsFinite(GradientNorm);
    }

    /// <summary>What keeps small gradients from being lost in fp16; told how each step went. Null for other types.</summary>
    public GradientScaler? Scaler { get; init; } = GradientScaler.For(model.Precision);

    /// <summary>Told what takes how long; null where nobody asks.</summary>
    public StepProfile? Profile { get; set; }

    /// <summary>Takes one step.</summary>
    /// <param name="schedule">The share of the peak learning rate that holds now.</param>
    /// <param name="batches">The batches whose gradients are added up; each rank works on its rows of them.</param>
    /// <exception cref="NonFiniteLossException">The scaler has nothing left to try.</exception>
    public Result Run(double schedule, IReadOnlyList<Batch> batches)
    {
        using var scope = NewDisposeScope();
        using var modules = Profile?.Measure(model);
        var result = Measure(Gradients(batches));
        using (Profile?.Measure("update"))
        {
            if (result.IsFinite) Update(schedule, result.GradientNorm);
            space.ZeroGradients();
        }
        Scaler?.Update(result.IsFinite);
        return result;
    }

    // This rank's part of the mean loss of the batches; their gradients are in the space then. Batches count by the tokens that they
    // predict, so that however many they are, and however many ranks, the gradient is that of the mean over all tokens.
    private Tensor Gradients(IReadOnlyList<Batch> batches)
    {
        using var outside = space.GatherOutsideBlocks();
        double predictions = batches.Sum(batch => batch.Predictions);
        var losses = new List<Tensor>();
        for (var i = 0; i < batches.Count; i++)
        {
            var rows = batches[i].Share(space.Ranks.Rank, space.Ranks.Ranks);
            losses.Add(space.Backward(isLast: i == batches.Count - 1, () => Gradients(rows, rows.Predictions / predictions), Profile));
        }
        return losses.Aggregate((sum, loss) => sum + loss);
    }

    private Tensor Gradients(Batch batch, double share)
    {
        using var scope = NewDisposeScope();
        var recomputation = config.ActivationCheckpointing || space.ShardsParameters ? new Recomputation() : null;
        var (loss, penalized) = Forward(batch, recomputation);
        if (share != 1) penalized = penalized * share;
        using (Profile?.Measure("backward pass")) (Scaler?.Scaled(penalized) ?? penalized).backward();
        recomputation?.ThrowIfFailed();
        model.TensorParallelGroup?.ThrowIfFailed();
        return (loss.detach().to(ScalarType.Float64) * share).MoveToOuterDisposeScope();
    }

    private (Tensor Loss, Tensor Penalized) Forward(Batch batch, Recomputation? recomputation)
    {
        using var pass = Profile?.Measure("forward pass");
        var (inputs, targets) = BatchTensors.On(batch, model.Device);
        var (hidden, penalty) = model.HiddenAndPenalty(inputs, recomputation);
        // nothing to predict in this rank's rows, whose share is nothing; the others wait for its gradients
        if (batch.Predictions == 0) return (zeros([], device: model.Device), hidden.sum());
        (hidden, targets) = BatchTensors.Labelled(hidden, targets, batch);
        using var head = Profile?.Measure("head and loss");
        var (loss, penalized) = model.Loss(hidden, targets, config.ZLoss);
        return (loss, penalty is null ? penalized : penalized + penalty);
    }

    // Loss and norm come from the device together: it is the one time that a step waits for it. The update is decided on them, and is over
    // soon.
    private Result Measure(Tensor loss)
    {
        using var norm = Profile?.Measure("gradient norm");
        Scaler?.Divide(space.Gradients);    // whether they are finite, their norm tells
        var all = space.Processes.Gather(stack([loss, space.OwnSquares()]).ToHost());
        // who shares the model has all of the loss
        return new(model.TensorParallelGroup is null ? all.Sum(rank => rank[0]) : all[0][0], Math.Sqrt(all.Sum(rank => rank[1])));
    }

    private void Update(double schedule, double norm)
    {
        // The coefficient of torch's clip_grad_norm_, min(1, clip / (norm + 1e-6)), as what gradients are divided by.
        var excess = config.GradientClip is { } clip ? Math.Max(1, (norm + 1e-6) / clip) : 1;
        optimizer.Step(schedule, excess == 1 ? null : full([], (float)excess, device: model.Device));
        space.ClampBounded();
        space.GatherUpdated();
    }
}
