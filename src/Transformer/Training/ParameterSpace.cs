using System.Globalization;
using TorchSharp.Modules;
using Transformer.Configuration;
using Transformer.Distributed;
using Transformer.Model;
using Transformer.Native;
using static TorchSharp.torch;

namespace Transformer.Training;

/// <summary>
/// The trainable parameters of a model as views into one buffer, and their gradients into a second, both in the order of the blocks. Clipping,
/// optimizer steps, averaging and, between ranks, reduction are then a few operations on ranges instead of many on small tensors. Between N ranks the
/// parameters of a block are a bucket of N slices; where buffers are sharded, a rank's hold its slice of every bucket and nothing else.
/// </summary>
public sealed class ParameterSpace : IDisposable
{
    private const int Alignment = 16;    // floats: every view and every slice begins on a 64-byte boundary

    private readonly GradientReduction? reduction;
    private readonly TensorGradients? tensors;
    private readonly DistributedStrategy strategy;

    /// <summary>Moves a model's trainable parameters into the space; values, names and shapes stay. Frozen ones are left where they are.</summary>
    /// <param name="model">The model; its parameters stay usable as before.</param>
    /// <param name="rules">Learning rates and freezing by name.</param>
    /// <param name="ranks">
    /// The processes between which batches are shared; this one alone where null, and where the model is a share of which all ranks work on every batch. All begin
    /// with the parameters of rank 0.
    /// </param>
    /// <param name="strategy">What each of them keeps.</param>
    public ParameterSpace(
        TransformerModel model, IReadOnlyList<ParameterRule>? rules = null, ICollective? ranks = null, DistributedStrategy strategy = DistributedStrategy.DataParallel)
    {
        Ranks = model.Tensors is null && ranks is not null ? ranks : new SingleProcess();
        this.strategy = Ranks.Ranks == 1 ? DistributedStrategy.DataParallel : strategy;
        var named = new List<(string Name, Parameter Value, ParameterRule? Rule)>();
        foreach (var (name, value) in model.named_parameters()) named.Add((name, value, rules?.FirstOrDefault(rule => Matches(rule.Pattern, name))));
        foreach (var rule in rules ?? [])
        {
            if (named.Any(parameter => Matches(rule.Pattern, parameter.Name))) continue;
            var first = string.Join(", ", named.Take(5).Select(parameter => parameter.Name));
            throw new InputException($"training.parameters: no parameter is called {rule.Pattern}. The first ones are {first}.");
        }
        foreach (var (_, value, _) in named.Where(parameter => parameter.Rule is { Frozen: true })) value.requires_grad_(false);

        // In a block matrices come first, so that those that decay lie together. The order of blocks is that of the names.
        var trained = named.Where(parameter => parameter.Rule is not { Frozen: true })
            .GroupBy(parameter => BlockOf(parameter.Name)).SelectMany(block => block.OrderBy(parameter => parameter.Value.dim() >= 2 ? 0 : 1)).ToList();
        if (trained.Count == 0) throw new InputException("training.parameters: every parameter is frozen, so there is nothing to train.");

        (Buckets, Parameters) = Lay(trained, model.Config);
        Size = Buckets.Sum(bucket => bucket.Length);
        Values = zeros(ShardsParameters ? Size / Ranks.Ranks : Size, device: model.Device).DetachFromDisposeScope();
        Gradients = zeros(ShardsGradients ? Size / Ranks.Ranks : Size, device: model.Device).DetachFromDisposeScope();
        Move();
        if (model.Tensors is not null) tensors = new TensorGradients(model.Tensors, Parameters);
        if (Ranks.Ranks == 1) return;
        reduction = ShardsParameters ? new ShardedBlocks(this) : new GradientReduction(this);
        model.BlockPass = reduction;
    }

    /// <summary>The processes that train the model together.</summary>
    public ICollective Ranks { get; }

    /// <summary>The parameters of each block, and what stands before and after the blocks.</summary>
    internal IReadOnlyList<Bucket> Buckets { get; }

    /// <summary>P, the numbers of all parameters with the zeros between them.</summary>
    internal long Size { get; }

    internal bool ShardsOptimizer => strategy != DistributedStrategy.DataParallel;

    internal bool ShardsGradients => strategy is DistributedStrategy.Zero2 or DistributedStrategy.Zero3;

    internal bool ShardsParameters => strategy == DistributedStrategy.Zero3;

    /// <summary>All trained parameters, one after the other, with zeros between them up to the next boundary: [P], or this rank's [P/N].</summary>
    public Tensor Values { get; }

    /// <summary>Their gradients, in the same places: [P], or this rank's [P/N]. The backward pass adds to them.</summary>
    public Tensor Gradients { get; }

    /// <summary>The parameters in the order of the space.</summary>
    public IReadOnlyList<ParameterView> Parameters { get; }

    /// <summary>
    /// The length of the gradient of all parameters. Between ranks each adds up the squares of its slices, and the sums are added in the order of the ranks:
    /// the same number whatever is sharded.
    /// </summary>
    public double GradientNorm()
    {
        if (tensors is not null) return tensors.Norm();
        if (Ranks.Ranks > 1)
        {
            using var scope = NewDisposeScope();
            var norms = stack(Buckets.Select(bucket => Own(Gradients, bucket).norm()));
            return Math.Sqrt(Ranks.Sum(norms.to(ScalarType.Float64).square().sum().item<double>()));
        }
        using var norm = Gradients.norm();
        return norm.item<float>();
    }

    /// <summary>
    /// Makes all gradients zero for the next step, and makes sure that the backward pass still writes into this space: a gradient that was replaced
    /// elsewhere (zero_grad does that) would never be seen by the optimizer.
    /// </summary>
    public void ZeroGradients()
    {
        using var scope = NewDisposeScope();
        foreach (var parameter in ShardsGradients ? [] : Parameters)
            if (parameter.Value.grad is not { } gradient || Aten.DataPointer(gradient) != Aten.DataPointer(parameter.Gradient!))
                throw new InvalidOperationException($"the gradient of {parameter.Name} left the parameter space; something replaced it");
        Gradients.zero_();
    }

    /// <summary>Runs a forward and a backward pass, after whose last one of a step the gradients are the sums over all ranks.</summary>
    /// <param name="isLast">Whether no more gradients are added before the step.</param>
    /// <param name="pass">What makes the gradients; its number is handed through.</param>
    /// <param name="profile">Told how long each reduction takes; null where nobody asks.</param>
    public double Backward(bool isLast, Func<double> pass, StepProfile? profile = null)
    {
        if (reduction is null)
        {
            var result = pass();
            if (isLast) tensors?.Sum();
            return result;
        }
        reduction.Profile = profile;
        return reduction.Backward(isLast, pass);
    }

    /// <summary>Brings the parameters that the ranks have stepped to all of them.</summary>
    public void Publish()
    {
        if (!ShardsOptimizer || ShardsParameters) return;
        using var scope = NewDisposeScope();
        Task.WaitAll([.. Buckets.Select(bucket => Ranks.AllGather(bucket.Of(Values)))]);
    }

    /// <summary>
    /// Where parameters are sharded, brings those together that stand before and after the blocks until the result is disposed. No pass can do without them.
    /// </summary>
    public IDisposable? Gathered() => (reduction as ShardedBlocks)?.GatherEnds();

    /// <summary>Reads or changes all parameters in the model; where they are sharded they are brought together for it, and this rank's slices taken back.</summary>
    public void WithAll(Action act)
    {
        if (reduction is ShardedBlocks sharded) sharded.WithAll(act);
        else act();
    }

    /// <summary>A bucket's parameters from the slices of all ranks, in a new buffer of this bucket alone.</summary>
    internal Tensor Whole(Bucket bucket)
    {
        using var _ = no_grad();
        var buffer = empty(bucket.Length, device: Values.device);
        bucket.Slice(buffer, Ranks.Rank, Ranks.Ranks).copy_(Own(Values, bucket));
        Ranks.AllGather(buffer).GetAwaiter().GetResult();
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

    /// <summary>Whether a name fits a pattern in which <c>*</c> stands for any run of characters.</summary>
    internal static bool Matches(string pattern, string name) => System.IO.Enumeration.FileSystemName.MatchesSimpleExpression(pattern, name, ignoreCase: false);

    // One after the other; between ranks every bucket is filled up until they divide it.
    private (IReadOnlyList<Bucket> Buckets, IReadOnlyList<ParameterView> Parameters) Lay(
        IEnumerable<(string Name, Parameter Value, ParameterRule? Rule)> trained, ModelConfig config)
    {
        var (buckets, parameters) = (new List<Bucket>(), new List<ParameterView>());
        long offset = 0;
        foreach (var group in Runs(trained.ToList()))
        {
            var (first, begin) = (parameters.Count, offset);
            foreach (var (name, value, rule) in group)
            {
                var length = Aligned(value.numel());
                parameters.Add(new ParameterView(
                    name, value, value.shape, offset, length, value.dim() >= 2, rule?.LearningRateScale ?? 1, WidthScale(config, name, value)));
                offset += length;
            }
            var share = (long)Alignment * Ranks.Ranks;
            offset = begin + (offset - begin + share - 1) / share * share;
            buckets.Add(new Bucket(LayerOf(group[0].Name), begin, offset - begin, parameters[first..]));
        }
        return (buckets, parameters);
    }

    // Neighbours of one block, or of none.
    private static IEnumerable<List<(string Name, Parameter Value, ParameterRule? Rule)>> Runs(List<(string Name, Parameter Value, ParameterRule? Rule)> parameters)
    {
        for (var (first, end) = (0, 1); end <= parameters.Count; end++)
        {
            if (end < parameters.Count && LayerOf(parameters[end].Name) == LayerOf(parameters[first].Name)) continue;
            yield return parameters[first..end];
            first = end;
        }
    }

    private void Move()
    {
        using var _ = no_grad();
        foreach (var bucket in Buckets)
        {
            using var scope = NewDisposeScope();
            var place = ShardsParameters ? zeros(bucket.Length, device: Values.device) : bucket.Of(Values);
            foreach (var parameter in bucket.Parameters) bucket.View(place, parameter).copy_(parameter.Value);
            Ranks.Broadcast(place, root: 0);
            if (ShardsParameters) Own(Values, bucket).copy_(bucket.Slice(place, Ranks.Rank, Ranks.Ranks));
            foreach (var parameter in bucket.Parameters)
            {
                if (ShardsParameters) parameter.Value.set_(empty(0, device: Values.device));
                else parameter.Value.set_(bucket.View(place, parameter));
                if (!ShardsGradients) parameter.Value.grad = parameter.Gradient = bucket.View(bucket.Of(Gradients), parameter).DetachFromDisposeScope();
            }
        }
    }

    private static int? LayerOf(string name) =>
        name.StartsWith("model.layers.", StringComparison.Ordinal) ? int.Parse(name.Split('.')[2], CultureInfo.InvariantCulture) : null;

    private static long Aligned(long length) => (length + Alignment - 1) / Alignment * Alignment;

    private static string BlockOf(string name) => name.StartsWith("model.layers.", StringComparison.Ordinal) ? string.Join('.', name.Split('.').Take(3)) : name;

    // Adam's steps do not shrink with the width, so under muP the rate of hidden matrices does. Muon's steps do so by themselves.
    private static double WidthScale(ModelConfig config, string name, Tensor value) =>
        config.Initialization is MupInitializationConfig mup && WeightInitialization.IsHidden(name, value) ? (double)mup.BaseWidth / config.Width : 1;
}
