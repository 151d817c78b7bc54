using TorchSharp;
using Transformer.Configuration;
using Transformer.Inference;
using Transformer.Layers;
using Transformer.Layers.Attention;
using Transformer.Layers.Positions;
using Transformer.Native;
using Transformer.Runs;
using static TorchSharp.torch;

namespace Transformer.Model;

// B batch · T tokens · S cached tokens · C width · V vocabulary

/// <summary>
/// A decoder-only transformer (Vaswani et al. 2017; Radford et al. 2019) built from its configuration: token ids in, one logit a vocabulary
/// entry out. Parameter names are those of Hugging Face's Llama.
/// </summary>
public sealed class TransformerModel : nn.Module<Tensor, TorchSequenceState?, Tensor>
{
    private readonly Decoder model;
    private readonly Linear? lm_head;
    private readonly RotaryPosition? rotary;
    private readonly double logitScale;
    private Precision precision;

    /// <param name="config">The architecture; its vocabulary size is known. Parameters are drawn by libtorch's generator.</param>
    /// <param name="device">Where parameters live; the CPU where null.</param>
    /// <param name="draw">False where the parameters are loaded next, so that drawing them would be time lost.</param>
    public TransformerModel(ModelConfig config, Device? device = null, bool draw = true) : this(config, device, draw, group: null) { }

    /// <param name="config">The architecture of the whole model.</param>
    /// <param name="device">Where parameters live; the CPU where null.</param>
    /// <param name="draw">Whether they are drawn, which only those of a whole model can be.</param>
    /// <param name="group">The ranks of which each has a share of the heads and hidden units; null where this process has all.</param>
    internal TransformerModel(ModelConfig config, Device? device, bool draw, TensorParallelGroup? group) : base(nameof(TransformerModel))
    {
        (Config, TensorParallelGroup) = (config, group);
        Device = device ?? CPU;
        model = new Decoder(group is null ? config : TensorParallelShare.Of(config, group.Rank, group.Count));
        if (!config.TiedHead) lm_head = new Linear(config.Width, config.VocabularySize!.Value, hasBias: false);
        logitScale = config.Initialization is MupInitializationConfig mup ? (double)mup.BaseWidth / config.Width : 1;
        RegisterComponents();
        if (group is { Rank: > 0 })
            foreach (var (name, layer) in named_modules()) if (layer is Linear output && TensorParallelSplit.IsOutput(name)) output.AddsBias = false;    // rank 0 adds it
        if (draw) WeightInitialization.Apply(this);
        this.to(Device);
        if (config.Position is RotaryPositionConfig rope && config.PositionedMixers.FirstOrDefault() is { } rotated)
            rotary = new RotaryPosition(rope, rotated.HeadWidthAt(config.Width), config.ContextLength, Device);
    }

    /// <summary>The architecture, of the whole model.</summary>
    public ModelConfig Config { get; }

    /// <summary>The ranks that have split heads and hidden units among them; every pass needs all of them. Null where this process has the whole model.</summary>
    public TensorParallelGroup? TensorParallelGroup { get; }

    /// <summary>Where the parameters live.</summary>
    public Device Device { get; }

    /// <summary>
    /// The type of the products of every pass from now on; fp32 at first. Parameters are fp32 and stay so: each product rounds what it takes, and norms,
    /// softmax, loss, recurrent states and the residual stream are fp32 under all of them (Micikevicius et al. 2018, arXiv:1710.03740). tf32 is a switch of the process.
    /// </summary>
    /// <exception cref="InputException">tf32 for a model that is not on an NVIDIA GPU.</exception>
    public Precision Precision
    {
        get => precision;
        set
        {
            if (Device.type == DeviceType.CUDA) backends.cuda.matmul.allow_tf32 = backends.cudnn.allow_tf32 = value == Precision.Tf32;    // cudnn convolves
            else if (value == Precision.Tf32)
                throw new InputException($"training.precision: found tf32, which only NVIDIA's GPUs compute in, but the model is on {Device}. Take fp32 or bf16.");
            precision = value;
        }
    }

    /// <summary>What stands around each block in every pass, or null.</summary>
    internal BlockHooks? BlockHooks { set => model.Hooks = value; }

    /// <summary>All parameters by the names under which checkpoints hold them.</summary>
    public IEnumerable<(string Name, Tensor Value)> Weights => named_parameters().Select(parameter => (parameter.name, (Tensor)parameter.parameter));

    /// <summary>The state of a generation that has not begun.</summary>
    /// <param name="rows">B, the number of sequences.</param>
    /// <param name="capacity">The greatest number of tokens a sequence, at most the context length; the context length where null.</param>
    public TorchSequenceState NewState(int rows, int? capacity = null) => NewState(rows, InferenceModel.CapacityOf(Config, capacity), owner: this);

    internal TorchSequenceState NewState(int rows, int capacity, object owner) => new(
        owner, [.. model.Layers.Select(layer => layer.NewState(rows, capacity, Device))], rows, capacity, canTruncate: rotary is not { FollowsLength: true });

    /// <param name="ids">[B, T], integers below V.</param>
    /// <param name="state">Null for a pass over whole sequences; else the tokens continue those that the state holds, which it then holds too.</param>
    /// <returns>The logits of each token's successor: [B, T, V].</returns>
    /// <exception cref="InputException">The tokens do not fit the context length.</exception>
    public override Tensor forward(Tensor ids, TorchSequenceState? state)
    {
        using var hidden = Hidden(ids, state);
        return Logits(hidden);
    }

    /// <summary>The last layer's normalised output, from which the head makes logits.</summary>
    /// <param name="ids">[B, T], integers below V.</param>
    /// <param name="state">As for <see cref="forward"/>.</param>
    /// <param name="newTokens">
    /// For each row how many of its T tokens are text, from the left; the state does not keep the rest, so that prompts of unequal length, and rows
    /// that have ended, share a pass. All where null.
    /// </param>
    /// <returns>[B, T, C]</returns>
    /// <exception cref="InputException">The tokens do not fit the context length.</exception>
    public Tensor Hidden(Tensor ids, TorchSequenceState? state = null, IReadOnlyList<int>? newTokens = null) =>
        Hidden(ids, state, newTokens, auxiliaryLosses: null);

    /// <summary>A pass of training over whole sequences: what <see cref="Hidden(Tensor, TorchSequenceState?, IReadOnlyList{int}?)"/> gives, and what the layers add to the loss.</summary>
    /// <param name="ids">[B, T], integers below V.</param>
    /// <param name="recomputation">Asks blocks to keep their input only; to be asked after the backward pass whether it failed. Null where they keep everything.</param>
    /// <returns>[B, T, C] and a scalar, weights included; null where no layer adds anything.</returns>
    /// <exception cref="InputException">The tokens do not fit the context length.</exception>
    public (Tensor Hidden, Tensor? Penalty) HiddenAndPenalty(Tensor ids, Recomputation? recomputation = null)
    {
        var losses = new AuxiliaryLosses();
        var hidden = Hidden(ids, null, null, losses, recomputation: recomputation);
        return (hidden, losses.Total());
    }

    /// <summary>The mean span that each head of each block has learned, over the tokens of a text, in tokens.</summary>
    /// <param name="ids">[B, T], integers below V.</param>
    /// <returns>For each block a span a head, none where its window is not learned; null where no block's is.</returns>
    public IReadOnlyList<IReadOnlyList<float>>? MeanSpans(Tensor ids)
    {
        IReadOnlyList<LearnedSpan?> windows = [.. model.Layers.Select(layer => layer.modules().OfType<LearnedSpan>().SingleOrDefault())];
        if (windows.All(window => window is null)) return null;
        var spans = new Dictionary<LearnedSpan, IReadOnlyList<float>>();
        Hidden(ids, null, null, meanSpans: spans).Dispose();
        return [.. windows.Select(window => window is null ? [] : TensorParallelGroup?.Join(tensor([.. spans[window]]), 0).data<float>().ToArray() ?? spans[window])];
    }

    /// <summary>The names of the parameters that stay between 0 and 1, where training brings them back after each step: learned spans.</summary>
    public IEnumerable<string> BoundedParameters => named_modules().Where(part => part.module is AdaptiveSpan).Select(part => $"{part.name}.span");

    private Tensor Hidden(
        Tensor ids, TorchSequenceState? state, IReadOnlyList<int>? newTokens, AuxiliaryLosses? auxiliaryLosses = null,
        IDictionary<LearnedSpan, IReadOnlyList<float>>? meanSpans = null, Recomputation? recomputation = null)
    {
        using var scope = NewDisposeScope();
        var (rows, tokens) = ((int)ids.shape[0], (int)ids.shape[1]);
        if (state is not null && rows != state.Lengths.Count)
            throw new ArgumentException($"{rows} rows of ids do not continue a state of {state.Lengths.Count} rows", nameof(ids));
        var starts = state?.Lengths ?? [.. Enumerable.Repeat(0, rows)];
        var counts = newTokens ?? [.. Enumerable.Repeat(tokens, rows)];
        var end = starts.Zip(counts, (start, count) => start + count).Max();
        var limit = state?.Capacity ?? Config.ContextLength;
        InferenceModel.CheckLength(end, limit);

        var together = starts.All(start => start == starts[0]);
        var first = together && starts[0] == 0;
        var positions = first && rotary is not { FollowsLength: true } ? null : Positions(together ? [starts[0]] : starts, tokens);
        int[] lengths = state is null ? [tokens] : [.. starts.Zip(counts, (start, count) => start + count)];
        var context = new ForwardContext
        {
            Positions = first ? null : positions,
            Causal = first,
            Mask = first || (together && tokens == 1) ? null : Visible(positions!, end),
            Rotation = positions is null ? rotary?.At(0, tokens) : rotary?.At(positions, lengths),
            CacheRotation = state is not null && rotary is { FollowsLength: true } ? rotary.At(arange(end, device: Device), lengths) : null,
            Bias = model.PositionBias,
            CachedLengths = state?.Lengths ?? [],
            NewTokens = newTokens ?? [],
            ProductType = ProductTypes.Of(precision),
            TensorParallelGroup = TensorParallelGroup,
            AuxiliaryLosses = auxiliaryLosses,
            MeanSpans = meanSpans,
            Recomputation = recomputation,
        };
        if (recomputation is not null && context.Rotation is { } rotation)
        {
            scope.MoveToOuter(rotation.Cos);
            scope.MoveToOuter(rotation.Sin);
        }
        var hidden = model.call(ids, context, state);
        state?.Advance(counts);
        return scope.MoveToOuter(hidden);
    }

    // The positions of T tokens that continue rows of these lengths: [T] for one length, else [B, T]. Padding positions are clamped; their outputs are discarded.
    private Tensor Positions(IReadOnlyList<int> starts, int tokens) =>
        (tensor(starts.Select(start => (long)start).ToArray()).ToDeviceAsync(Device).unsqueeze(1) + arange(tokens, device: Device))
            .clamp_max(Config.ContextLength - 1).squeeze(0);

    /// <summary>The head: [..., C] to [..., V], fp32.</summary>
    public Tensor Logits(Tensor hidden)
    {
        hidden = hidden.to(ProductTypes.Of(precision));
        var logits = (lm_head?.call(hidden) ?? Linear.Apply(hidden, Head)).ToFloat32();
        return logitScale == 1 ? logits : logits * logitScale;
    }

    /// <summary>The losses of the head, by <see cref="LanguageModelLoss.OfHead"/>.</summary>
    /// <param name="hidden">[B, T, C]</param>
    /// <param name="targets">[B, T]</param>
    /// <param name="zLoss">The weight of the z-loss.</param>
    public (Tensor CrossEntropy, Tensor Total) Loss(Tensor hidden, Tensor targets, double zLoss = 0)
    {
        var type = ProductTypes.Of(precision);
        return LanguageModelLoss.OfHead(hidden.to(type), Head.to(type), targets, zLoss, logitScale);
    }

    private Tensor Head => lm_head?.Weight ?? model.TokenEmbedding;    // [V, C]

    // Key s is visible to the query at position p if s <= p: [B or 1, 1, T, S].
    private Tensor Visible(Tensor positions, int keys) =>
        (arange(keys, device: Device) <= positions.unsqueeze(-1)).reshape(positions.dim() == 1 ? 1 : positions.shape[0], 1, positions.shape[^1], keys);

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing) rotary?.Dispose();
        base.Dispose(disposing);
    }
}
