using System.Runtime.ExceptionServices;
using Transformer.Distributed;
using Transformer.Model;
using Transformer.Native;
using static TorchSharp.torch;

namespace Transformer.Training;

/// <summary>
/// Sums the gradients of all ranks during the backward pass: once it has reached the input of a block, that block's gradients are final, so
/// that its bucket is reduced while the block below is computed (Li et al. 2020). Every rank reduces the same buckets in the same order.
/// </summary>
internal class GradientReduction : BlockHooks
{
    private const int MostUnderway = 2;    // of the buckets with their own buffer

    private readonly ParameterSpace space;
    private readonly Bucket[] order;    // as the backward pass leaves them
    private readonly Queue<(Bucket Bucket, Tensor Buffer, CollectiveWork Sum)> underway = [];
    private readonly Bucket? lastBlock;    // of those that are trained
    private int begun;
    private bool isActive;
    private ExceptionDispatchInfo? failure;

    public GradientReduction(ParameterSpace space)
    {
        this.space = space;
        lastBlock = space.Buckets.Where(bucket => bucket.Block is not null).MaxBy(bucket => bucket.Offset);
        var lastOffset = lastBlock?.Offset ?? -1;
        order =
        [
            // After the blocks: ready before the last block is.
            .. space.Buckets.Where(bucket => bucket.Block is null && bucket.Offset > lastOffset),
            .. space.Buckets.Where(bucket => bucket.Block is not null).Reverse(),
            // The embedding, which a tied head shares, and the edges of hourglasses between the blocks.
            .. space.Buckets.Where(bucket => bucket.Block is null && bucket.Offset < lastOffset),
        ];
    }

    /// <summary>Records how long each reduction takes; null if not profiled.</summary>
    public StepProfile? Profile { get; set; }

    /// <summary>
    /// Runs a forward and a backward pass and, where no more gradients are added, waits until all are sums over all ranks.
    /// </summary>
    public Tensor Backward(bool isLast, Func<Tensor> pass)
    {
        isActive = isLast || space.ShardsGradients;
        begun = 0;
        var result = pass();
        failure?.Throw();
        if (!isActive) return result;
        BeginBefore(order.Length);
        while (underway.Count > 0) Complete();
        isActive = false;
        return result;
    }

    /// <inheritdoc/>
    public override Tensor BeforeBlock(int layer, Tensor stream) =>
        is_grad_enabled() && stream.requires_grad && !space.IsSegmented ? BackwardHook.apply(stream, this, layer) : stream;

    /// <summary>
    /// Starts the reduction of what is final once the backward pass has left a block. Must not throw: it is called by libtorch.
    /// </summary>
    private void GradientsReady(int layer)
    {
        // What is behind the last trained block may still be before a frozen one.
        if (!isActive || failure is not null || !(layer <= lastBlock?.Block!.Depth)) return;
        try
        {
            var end = Array.FindIndex(
                order, bucket => bucket.Block?.Depth < layer || (bucket.Block is null && bucket.Offset < lastBlock.Offset));
            BeginBefore(end >= 0 ? end : order.Length);
        }
        catch (Exception e)
        {
            failure = ExceptionDispatchInfo.Capture(e);
        }
    }

    private void BeginBefore(int end)
    {
        using var _ = no_grad();
        for (; begun < end; begun++)
        {
            var bucket = order[begun];
            if (space.ShardsGradients) BeginSharded(bucket);
            else
            {
                var buffer = bucket.Of(space.Gradients).DetachFromDisposeScope();
                Await(bucket, buffer, space.ShardsOptimizer ? space.Ranks.ReduceScatter(buffer) : space.Ranks.AllReduce(buffer));
            }
        }
    }

    // The backward pass leaves each gradient in its own tensor; they are copied to one buffer only for the reduction.
    private void BeginSharded(Bucket bucket)
    {
        while (underway.Count >= MostUnderway) Complete();
        var buffer = zeros(bucket.Length, device: space.Values.device).DetachFromDisposeScope();
        using var scope = NewDisposeScope();
        foreach (var parameter in bucket.Parameters)
        {
            if (parameter.Value.grad is not { } gradient) continue;    // it has no gradient
            bucket.View(buffer, parameter).copy_(gradient);
            parameter.Value.grad = null;
            gradient.Dispose();
        }
        Await(bucket, buffer, space.Ranks.ReduceScatter(buffer));
    }

    private void Await(Bucket bucket, Tensor buffer, CollectiveWork sum)
    {
        Profile?.Beside($"reduction of {bucket.Block?.Path ?? bucket.Parameters[0].Name}", sum.Done);
        underway.Enqueue((bucket, buffer, sum));
    }

    private void Complete()
    {
        using var _ = no_grad();
        using var scope = NewDisposeScope();
        var (bucket, buffer, sum) = underway.Dequeue();
        sum.Wait();
        if (space.ShardsGradients) space.Own(space.Gradients, bucket).add_(bucket.Slice(buffer, space.Ranks.Rank, space.Ranks.Ranks));
        buffer.Dispose();
    }

    // Passes the stream through; in its backward the block's gradients are final and those of the block below have not begun.
    private sealed class BackwardHook : Operator<BackwardHook>
    {
        public override Tensor forward(autograd.AutogradContext context, params object[] inputs)
        {
            var (reduction, layer) = ((GradientReduction)inputs[1], (int)inputs[2]);
            context.save_data(nameof(GradientsReady), () => reduction.GradientsReady(layer));
            return ((Tensor)inputs[0]).detach();
        }

        protected override List<Tensor> Gradients(autograd.AutogradContext context, Tensor gradient)
        {
            ((Action)context.get_data(nameof(GradientsReady)))();
            return [gradient.alias(), null!, null!];
        }
    }
}
