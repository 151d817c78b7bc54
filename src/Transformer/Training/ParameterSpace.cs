using Transformer.Distributed;
using Transformer.Model;
using Transformer.Native;
using Transformer.Runs;
using static TorchSharp.torch;

namespace Transformer.Training;

/// <summary>
/// The trainable parameters of a model as views into one buffer, and their gradients into a second, both in the order of the blocks.
/// Clipping, optimizer steps, averaging and, between ranks, reduction are then a few operations on ranges instead of many on small tensors.
/// Between N ranks the parameters of a block are a bucket of N slices; where buffers are sharded, those of a rank hold only its slice of
/// every bucket.
/// </summary>
public sealed class ParameterSpace : IDisposable
{
    private readonly GradientReduction? reduction;
    private readonly TensorParallelGradients? parallel;
    private readonly DistributedStrategy strategy;
    private readonly ParameterLayout layout;
    private readonly IReadOnlyList<ParameterView> bounded;

    /// <summary>
    /// Moves a model's trainable parameters into the space; values, names and shapes stay. Frozen ones are left where they are.
    /// </summary>
    /// <param name="model">The model; its parameters stay usable as before.</param>
    /// <param name="rules">Learning rates and freezing by name.</param>
    /// <param name="ranks">The processes that batches are divided among; this one alone where null, or where the ranks share the model and
    /// every batch. All start from the parameters of rank 0.</param>
    /// <param name="strategy">What each of them keeps.</param>
    public ParameterSpace(
        TransformerModel model, IReadOnlyList<ParameterRule>? rules = null, ICollective? ranks = null,
        DistributedStrategy strategy = DistributedStrategy.DataParallel)
    {
        Ranks = model.TensorParallelGroup is null && ranks is not null ? ranks : new SingleProcess();
        IsSegmented = model.Config.HasSegments;
        this.strategy = Ranks.Ranks == 1 ? DistributedStrategy.DataParallel : strategy;
        layout = (model.TensorParallelGroup?.Collective ?? Ranks).RunOnAll(() => new ParameterLayout(model, rules ?? [], Ranks.Ranks));
        bounded = [.. Parameters.Where(parameter => parameter.Spec.IsBounded)];
        Values = zeros(ShardsParameters ? Size / Ranks.Ranks : Size, device: model.Device).DetachFromDisposeScope();
        Gradients = zeros(ShardsGradients ? Size / Ranks.Ranks : Size, device: model.Device).DetachFromDisposeScope();
        Move();
        if (model.TensorParallelGroup is { } group) parallel = new TensorParallelGradients(group, Parameters, model.Device);
        if (Ranks.Ranks == 1) return;
        reduction = ShardsParameters ? new ShardedBlocks(this) : new GradientReduction(this);
        model.BlockHooks = reduction;
    }

    /// <summary>The processes that batches are divided among.</summary>
    public ICollective Ranks { get; }

    /// <summary>The processes that take part in each step: <see cref="Ranks"/>, or those that share the model.</summary>
    internal ICollective Processes => parallel?.Processes ?? Ranks;

    /// <summary>The parameters of each block, and those before and after the blocks.</summary>
    internal IReadOnlyList<Bucket> Buckets => layout.Buckets;

    /// <summary>P, the length of the space: all parameters with the padding between them.</summary>
    internal long Size => layout.Size;

    internal bool ShardsOptimizer => strategy is DistributedStrategy.Zero1 or DistributedStrategy.Zero2 or DistributedStrategy.Zero3;

    internal bool ShardsGradients => strategy is DistributedStrategy.Zero2 or DistributedStrategy.Zero3;

    internal bool ShardsParameters => strategy == DistributedStrategy.Zero3;

    /// <summary>Whether a backward pass comes through each block several times, so that no bucket is final before its end.</summary>
    internal bool IsSegmented { get; }

    /// <summary>All trained parameters in order, each padded with zeros to the next boundary: [P], or this rank's [P/N].</summary>
    public Tensor Values { get; }

    /// <summary>Their gradients, at the same offsets: [P], or this rank's [P/N]. The backward pass adds to them.</summary>
    public Tensor Gradients { get; }

    /// <summary>The parameters in the order of the space.</summary>
    public IReadOnlyList<ParameterView> Parameters => layout.Parameters;

    /// <summary>
    /// The length of the gradient of all parameters. Between ranks each adds up the squares of its slices, and the sums are added in the
    /// order of the ranks: the same number whatever is sharded.
    /// </summary>
    public double GradientNorm()
    {
        using var own = OwnSquares();
        return Math.Sqrt(Processes.Sum(own.item<double>()));
    }

    /// <summary>
    /// This rank's part of the square of that length, on the device of the gradients: a scalar in double precision,
    /// in which the square of a float is exact.
    /// </summary>
    internal Tensor OwnSquares()
    {
        if (parallel is not null) return parallel.OwnSquares();
        using var scope = NewDisposeScope();
        var norms = Ranks.Ranks == 1 ? Gradients.norm() : stack(Buckets.Select(bucket => Own(Gradients, bucket).norm()));
        return norms.to(ScalarType.Float64).square().sum().MoveToOuterDisposeScope();
    }

    /// <summary>
    /// Makes all gradients zero for the next step, and makes sure that the backward pass still writes into this space: a gradient that was
    /// replaced elsewhere (as zero_grad does) would never reach the optimizer.
    /// </summary>
    public void ZeroGradients()
    {
        using var scope = NewDisposeScope();
        foreach (var parameter in ShardsGradients ? [] : Parameters)
            if (parameter.Value.grad is not { } gradient || Aten.DataPointer(gradient) != Aten.DataPointer(parameter.Gradient!))
                throw new InvalidOperationException($"the gradient of {parameter.Name} left the parameter space; something replaced it");
        Gradients.zero_();
    }

    /// <summary>Runs a forward and a backward pass, after the last of which in a step the gradients are the sums over all ranks.</summary>
    /// <param name="isLast">Whether no more gradients are added before the step.</param>
    /// <param name="pass">Computes the gradients; its loss is returned.</param>
    /// <param name="profile">Records how long each reduction takes; null if not profiled.</param>
    public Tensor Backward(bool isLast, Func<Tensor> pass, StepProfile? profile = null)
    {
        if (reduction is null)
        {
            var result = pass();
            if (isLast) parallel?.Sum();
            return result;
        }
        reduction.Profile = profile;
        return reduction.Backward(isLast, pass);
    }

    /// <summary>Clamps bounded parameters to [0, 1] after a step, each rank those that it has stepped.</summary>
    public void ClampBounded()
    {
        using var _ = no_grad();
        using var scope = NewDisposeScope();
        foreach (var (offset, length) in bounded.SelectMany(parameter => this.Owned(parameter.Offset, parameter.Count)))
            this.Cut(Values, offset, length).clamp_(0, 1);
    }

    /// <summary>Gathers on all ranks the parameters that each has stepped.</summary>
    public void GatherUpdated()
    {
        if (!ShardsOptimizer || ShardsParameters) return;
        using var scope = NewDisposeScope();
        CollectiveWork[] arriving = [.. Buckets.Select(bucket => Ranks.AllGather(bucket.Of(Values)))];
        foreach (var transfer in arriving) transfer.Wait();
    }

    /// <summary>
    /// Where parameters are sharded, gathers those before and after the blocks, which every pass needs, until the result is disposed.
    /// </summary>
    public IDisposable? GatherOutsideBlocks() => (reduction as ShardedBlocks)?.GatherOutsideBlocks();

    /// <summary>
    /// Reads or changes all parameters in the model; where they are sharded they are gathered for
    /// it, and this rank's slices are copied back.
    /// </summary>
    public void WithFullParameters(Action act)
    {
        if (reduction is ShardedBlocks sharded) sharded.WithFullParameters(act);
        else act();
    }

    /// <summary>A bucket's parameters from the slices of all ranks, in a new buffer of this bucket alone.</summary>
    internal Tensor Whole(Bucket bucket)
    {
        using var _ = no_grad();
        var buffer = empty(bucket.Length, device: Values.device);
        bucket.Slice(buffer, Ranks.Rank, Ranks.Ranks).copy_(Own(Values, bucket));
        Ranks.AllGather(buffer).Wait();
        return buffer;
    }

    /// <summary>This rank's slice of a bucket, in a buffer of all of the space or of this rank's part of it.</summary>
    internal Tensor Own(Tensor buffer, Bucket bucket)
    {
        var length = bucket.Length / Ranks.Ranks;
        return buffer.narrow(0, buffer.numel() == Size ? bucket.Offset + Ranks.Rank * length : bucket.Offset / Ranks.Ranks, length);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var parameter in Parameters) parameter.Gradient?.Dispose();
        Values.Dispose();
        Gradients.Dispose();
    }

    private void Move()
    {
        using var _ = no_grad();
        foreach (var bucket in Buckets)
        {
            using var scope = NewDisposeScope();
            var buffer = ShardsParameters ? zeros(bucket.Length, device: Values.device) : bucket.Of(Values);
            foreach (var parameter in bucket.Parameters) bucket.View(buffer, parameter).copy_(parameter.Value);
            Ranks.Broadcast(buffer, root: 0);
            if (ShardsParameters) Own(Values, bucket).copy_(bucket.Slice(buffer, Ranks.Rank, Ranks.Ranks));
            foreach (var parameter in bucket.Parameters)
            {
                if (ShardsParameters) parameter.Value.set_(empty(0, device: Values.device));
                else parameter.Value.set_(bucket.View(buffer, parameter));
                if (!ShardsGradients)
                    parameter.Value.grad = parameter.Gradient = bucket.View(bucket.Of(Gradients), parameter).DetachFromDisposeScope();
            }
        }
    }
}
