using Transformer.Distributed;
using static TorchSharp.torch;

namespace Transformer.Training;

/// <summary>
/// The third stage of ZeRO (Rajbhandari et al. 2020): each rank keeps its slices only. A block's parameters are gathered when the block is
/// computed and freed afterwards, while the next block's are prefetched. Parameters outside the blocks are gathered for the whole pass.
/// </summary>
internal sealed class ShardedBlocks(ParameterSpace space) : GradientReduction(space)
{
    private readonly ParameterSpace space = space;
    private readonly Dictionary<int, Bucket> blocks = space.Buckets.Where(bucket => bucket.Layer is not null)
        .ToDictionary(bucket => bucket.Layer!.Value);
    private (Bucket Bucket, Tensor Buffer, CollectiveWork Arrival)? coming;
    private int last = -1;

    /// <inheritdoc/>
    public override IDisposable? Parameters(int layer)
    {
        var forward = layer == last ? layer == 0 : layer > last;    // the backward pass begins at the last block
        last = layer;
        if (!blocks.TryGetValue(layer, out var bucket)) return null;
        if (coming is { } other && other.Bucket != bucket) Drop();
        var arriving = coming ?? Gather(bucket);
        coming = blocks.TryGetValue(forward ? layer + 1 : layer - 1, out var next) ? Gather(next) : null;
        return new Gathered([arriving]);
    }

    /// <summary>Gathers the parameters outside the blocks until the result is disposed.</summary>
    public IDisposable GatherOutsideBlocks() => new Gathered([.. space.Buckets.Where(bucket => bucket.Layer is null).Select(Gather)]);

    /// <summary>Gathers all parameters while an action reads or changes them.</summary>
    public void WithFullParameters(Action act)
    {
        Drop();
        using var all = new Gathered([.. space.Buckets.Select(Gather)]);
        act();
        using var _ = no_grad();
        using var scope = NewDisposeScope();
        foreach (var (bucket, buffer, _) in all.Buckets)
            space.Own(space.Values, bucket).copy_(bucket.Slice(buffer, space.Ranks.Rank, space.Ranks.Ranks));
    }

    private (Bucket, Tensor, CollectiveWork) Gather(Bucket bucket)
    {
        using var _ = no_grad();
        using var scope = NewDisposeScope();
        var buffer = empty(bucket.Length, device: space.Values.device).DetachFromDisposeScope();
        bucket.Slice(buffer, space.Ranks.Rank, space.Ranks.Ranks).copy_(space.Own(space.Values, bucket));
        return (bucket, buffer, space.Ranks.AllGather(buffer));
    }

    private void Drop()
    {
        coming?.Arrival.Wait();
        coming?.Buffer.Dispose();
        coming = null;
    }

    private sealed class Gathered : IDisposable
    {
        public Gathered(IReadOnlyList<(Bucket Bucket, Tensor Buffer, CollectiveWork Arrival)> buckets)
        {
            Buckets = buckets;
            foreach (var (_, _, arrival) in buckets) arrival.Wait();
            Bind((bucket, buffer, parameter) => bucket.View(buffer, parameter));
        }

        public IReadOnlyList<(Bucket Bucket, Tensor Buffer, CollectiveWork Arrival)> Buckets { get; }

        public void Dispose()
        {
            Bind((_, buffer, _) => empty(0, device: buffer.device));
            foreach (var (_, buffer, _) in Buckets) buffer.Dispose();
        }

        private void Bind(Func<Bucket, Tensor, ParameterView, Tensor> view)
        {
            using var _ = no_grad();
            using var scope = NewDisposeScope();
            foreach (var (bucket, buffer, _) in Buckets)
                foreach (var parameter in bucket.Parameters) parameter.Value.set_(view(bucket, buffer, parameter));
        }
    }
}
