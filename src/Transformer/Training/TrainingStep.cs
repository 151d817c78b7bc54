using Transformer.Data;
using Transformer.Distributed;
using Transformer.Evaluation;
using Transformer.Layers.Memory;
using Transformer.Model;
using Transformer.Native;
using Transformer.Runs;
using static TorchSharp.torch;

namespace Transformer.Training;

/// <summary>One optimizer step: forward and backward over one or more batches, clipping, update. Returns numbers, no tensors.</summary>
/// <param name="model">The model, in training mode.</param>
/// <param name="space">Its parameters; gradients are zero before and after a step.</param>
/// <param name="optimizer">The optimizer.</param>
/// <param name="config">Clipping, z-loss and activation checkpointing.</param>
public sealed class TrainingStep(TransformerModel model, ParameterSpace space, Optimizer optimizer, TrainingConfig config) : IDisposable
{
    /// <summary>The result of a step.</summary>
    /// <param name="Loss">The mean loss of the step's batches before the update, in nats per token, without the z-loss.</param>
    /// <param name="GradientNorm">The gradient norm before clipping.</param>
    public readonly record struct Result(double Loss, double GradientNorm)
    {
        /// <summary>Whether both are finite. If not, the parameters were not changed.</summary>
        public bool IsFinite => double.IsFinite(Loss) && double.IsFinite(GradientNorm);
    }

    /// <summary>The gradient scaler of fp16, updated after each step. Null for other types.</summary>
    public GradientScaler? Scaler { get; init; } = GradientScaler.For(model.Precision);

    /// <summary>The profile to fill; null for none.</summary>
    public StepProfile? Profile { get; set; }

    /// <summary>
    /// What the model remembers of the text before the next step's batches; null where it begins, or where rows have nothing to do with
    /// each other. This disposes what it replaces.
    /// </summary>
    public SegmentMemory? Memory { get; set; }

    /// <summary>Takes one step.</summary>
    /// <param name="schedule">The current learning rate as a fraction of the peak.</param>
    /// <param name="batches">The batches whose gradients are accumulated; each rank computes its rows.</param>
    /// <exception cref="NonFiniteLossException">The gradients overflow even at the least scale.</exception>
    public Result Run(double schedule, IReadOnlyList<Batch> batches)
    {
        using var scope = NewDisposeScope();
        using var modules = Profile?.Measure(model);
        var (losses, memory) = Gradients(batches);
        var result = Measure(losses);
        // What an overflow has left is not remembered.
        (result.IsFinite ? Memory : memory)?.Dispose();
        if (result.IsFinite) Memory = memory;
        using (Profile?.Measure("update"))
        {
            if (result.IsFinite) Update(schedule, result.GradientNorm);
            space.ZeroGradients();
        }
        Scaler?.Update(result.IsFinite);
        return result;
    }

    /// <summary>Computes the gradients of a step and discards them; only the random state changes.</summary>
    /// <param name="batches">As for <see cref="Run"/>.</param>
    internal void DiscardGradients(IReadOnlyList<Batch> batches)
    {
        using var scope = NewDisposeScope();
        Gradients(batches).Memory?.Dispose();
        space.ZeroGradients();
    }

    /// <summary>Forgets what the model remembers.</summary>
    public void Dispose() => Memory?.Dispose();

    // This rank's part of the mean loss of the batches; their gradients are accumulated in the space. Batches are weighted by their
    // predicted tokens, so that the gradient is that of the mean over all tokens, whatever the number of batches and ranks.
    private (Tensor Loss, SegmentMemory? Memory) Gradients(IReadOnlyList<Batch> batches)
    {
        using var outside = space.GatherOutsideBlocks();
        double predictions = batches.Sum(batch => batch.Predictions);
        var losses = new List<Tensor>();
        var memory = Memory;
        for (var i = 0; i < batches.Count; i++)
        {
            var rows = batches[i].Share(space.Ranks.Rank, space.Ranks.Ranks);
            var before = memory;
            losses.Add(space.Backward(
                isLast: i == batches.Count - 1, () => Gradients(rows, rows.Predictions / predictions, before, out memory), Profile));
            if (!ReferenceEquals(before, Memory)) before?.Dispose();
        }
        return (losses.Aggregate((sum, loss) => sum + loss), memory);
    }

    private Tensor Gradients(Batch batch, double share, SegmentMemory? before, out SegmentMemory? after)
    {
        using var scope = NewDisposeScope();
        using var recomputation = config.ActivationCheckpointing || space.ShardsParameters ? new Recomputation() : null;
        var (loss, penalized) = Forward(batch, recomputation, before, out after);
        if (share != 1) penalized = penalized * share;
        using (Profile?.Measure("backward pass")) (Scaler?.Scaled(penalized) ?? penalized).backward();
        recomputation?.ThrowIfFailed();
        model.TensorParallelGroup?.ThrowIfFailed();
        return (loss.detach().to(ScalarType.Float64) * share).MoveToOuterDisposeScope();
    }

    private (Tensor Loss, Tensor Penalized) Forward(
        Batch batch, Recomputation? recomputation, SegmentMemory? before, out SegmentMemory? after)
    {
        using var pass = Profile?.Measure("forward pass");
        var (inputs, targets) = BatchTensors.On(batch, model.Device);
        var (hidden, penalty) = Hidden(inputs, batch, recomputation, before, out after);
        // this rank's rows have no targets and contribute zero, but the other ranks wait for its gradients
        if (batch.Predictions == 0) return (zeros([], device: model.Device), hidden.sum());
        (hidden, targets) = BatchTensors.Labelled(hidden, targets, batch);
        using var head = Profile?.Measure("head and loss");
        var (loss, penalized) = model.Loss(hidden, targets, config.ZLoss);
        return (loss, penalty is null ? penalized : penalized + penalty);
    }

    private (Tensor Hidden, Tensor? Penalty) Hidden(
        Tensor inputs, Batch batch, Recomputation? recomputation, SegmentMemory? before, out SegmentMemory? after)
    {
        after = null;
        if (!model.Config.HasSegments)
        {
            var pictures = BatchTensors.Pictures(batch, model, recomputation);
            return model.HiddenAndPenalty(inputs, recomputation, BatchTensors.PieceEnds(batch, model.Device), pictures, batch.Documents);
        }
        var (hidden, penalty, memory) = model.HiddenAndPenalty(
            inputs, batch.Starts is null ? null : before, batch.Starts, config.BackpropagationSegments, recomputation);
        if (batch.Starts is not null) after = memory.Detached();
        memory.Dispose();
        return (hidden, penalty);
    }

    // Loss and norm are copied from the device together: the only time that a step waits for it. The update depends on them.
    private Result Measure(Tensor loss)
    {
        using var norm = Profile?.Measure("gradient norm");
        Scaler?.Divide(space.Gradients);    // the norm shows whether they are finite
        var all = space.Processes.Gather(stack([loss, space.OwnSquares()]).ToHost());
        // under tensor parallelism each rank has the whole loss
        return new(model.TensorParallelGroup is null ? all.Sum(rank => rank[0]) : all[0][0], Math.Sqrt(all.Sum(rank => rank[1])));
    }

    private void Update(double schedule, double norm)
    {
        // The coefficient of torch's clip_grad_norm_, min(1, clip / (norm + 1e-6)), as a divisor.
        var excess = config.GradientClip is { } clip ? Math.Max(1, (norm + 1e-6) / clip) : 1;
        optimizer.Step(schedule, excess == 1 ? null : full([], (float)excess, device: model.Device));
        space.ClampBounded();
        space.GatherUpdated();
    }
}
