using Transformer.Inference;
using Transformer.Layers.Attention;
using Transformer.Layers.Memory;
using Transformer.Layers.Positions;
using Transformer.Layers.Vision;
using Transformer.Native;
using static TorchSharp.torch;

namespace Transformer.Layers;

// B batch · T tokens · S cached tokens · H heads

/// <summary>What the layers of one forward pass share: one per pass, which no layer keeps.</summary>
public sealed record ForwardContext
{
    /// <summary>
    /// The position of each token in its sequence: [T], or [B, T] where rows differ. Null for a pass over whole sequences, 0 .. T - 1.
    /// </summary>
    public Tensor? Positions { get; init; }

    /// <summary>
    /// Which keys of a cache of all tokens each query sees, true is visible: [B or 1, 1, T, S]. Null where query t of T sees keys 0..t of T
    /// (a pass without a cache, or the first into an empty one), and where every query sees every key.
    /// </summary>
    public Tensor? Mask { get; init; }

    /// <summary>
    /// Whether query t sees keys 0..t only, which the fused kernel knows without a mask: the tokens are the first of their sequences.
    /// </summary>
    public bool Causal { get; init; } = true;

    /// <summary>The rotation of queries and keys at the positions of this pass; null for models without rotary positions.</summary>
    public Rotation? Rotation { get; init; }

    /// <summary>
    /// The rotation of all keys of a cache that holds them unrotated, because their angles depend on how long the text has become, or
    /// because they may move to other places: of slots 0 .. S - 1, [S, D/2] or [B, 1, S, D/2]. Null where new keys are rotated by
    /// <see cref="Rotation"/> before they are cached.
    /// </summary>
    public Rotation? CacheRotation { get; init; }

    /// <summary>What the distance of query and key adds to their score; null for models without such positions.</summary>
    public ScoreBias? Bias { get; init; }

    /// <summary>For each row of the batch the number of tokens in the state before this pass; empty where there is no state.</summary>
    public IReadOnlyList<int> CachedLengths { get; init; } = [];

    /// <summary>
    /// For each row of the batch how many of its T tokens are text, from the left, perhaps none; the rest is padding, which no state may
    /// keep. Empty where all are.
    /// </summary>
    public IReadOnlyList<int> NewTokens { get; init; } = [];

    /// <summary>The state of each mixer and each block's memory in generation; null for a pass without a state.</summary>
    public IReadOnlyDictionary<nn.Module, LayerState>? States { get; init; }

    /// <summary>The state of a mixer or an hourglass, of <see cref="States"/>; null for a pass without a state.</summary>
    public LayerState? StateOf(nn.Module module) => States?[module];

    /// <summary>The tokens of the pass: [B, T], integers; below 0, or null as a whole, where what is read is no token.</summary>
    public Tensor? Ids { get; init; }

    /// <summary>What cross-attention reads: [B, S, C]; null outside of it.</summary>
    public Tensor? Source { get; init; }

    /// <summary>The pictures of this pass, for cross-attention to them; null where it has none.</summary>
    public SeenPictures? Pictures { get; init; }

    /// <summary>The model's rotary positions, for passes over groups of tokens; null for models without.</summary>
    public RotaryPosition? Rotary { get; init; }

    /// <summary>
    /// Collects where groups of tokens end, in the order of the stream: the tensors outlive the pass and are the caller's. Null where that
    /// is not needed.
    /// </summary>
    public IList<TokenBoundaries>? Boundaries { get; init; }

    /// <summary>
    /// The context of layers that read groups of the tokens of this pass: the same, but for everything that counts tokens or belongs to
    /// them.
    /// </summary>
    /// <param name="rows">B.</param>
    /// <param name="groups">How many vectors of each row they read.</param>
    /// <param name="cachedLengths">For each row how many they have read before; null for a pass without a state.</param>
    /// <param name="newGroups">For each row how many of those vectors are groups, from the left; all where null.</param>
    /// <param name="states">The state of each of their mixers; null for a pass without a state.</param>
    /// <param name="most">How many positions they have.</param>
    /// <param name="device">The device of the pass.</param>
    internal ForwardContext OfGroups(
        int rows, int groups, IReadOnlyList<int>? cachedLengths, IReadOnlyList<int>? newGroups,
        IReadOnlyDictionary<nn.Module, LayerState>? states, int most, Device device)
    {
        var context = For(rows, groups, cachedLengths, newGroups, Rotary, most, device) with
        {
            States = states,
            Rotary = Rotary,
            Bias = Bias,
            ProductType = ProductType,
            TensorParallelGroup = TensorParallelGroup,
            AuxiliaryLosses = AuxiliaryLosses,
            Recomputation = Recomputation,
            LearnedSpans = LearnedSpans is null ? null : new Dictionary<LearnedSpan, Tensor>(),
        };
        context.KeepForRecomputation();
        return context;
    }

    // Blocks that are computed again read the rotation again, and what they see.
    internal void KeepForRecomputation()
    {
        foreach (var tensor in new[] { Rotation?.Cos, Rotation?.Sin, Mask, Pictures?.OfRows, Pictures?.Last }.OfType<Tensor>())
            Recomputation?.Keep(tensor.DetachFromDisposeScope());
    }

    /// <summary>What is remembered of the segments before this one; null in a model without memory.</summary>
    public SegmentMemory? MemoryBefore { get; init; }

    /// <summary>Collects what the next segment remembers; null where there is none.</summary>
    public SegmentMemory? MemoryAfter { get; init; }

    /// <summary>How many words a segment has; places behind them are memory tokens'.</summary>
    public int SegmentLength { get; init; } = int.MaxValue;

    /// <summary>
    /// v_1, the values of the first layer that has a value residual: [B, T, G, D]. Set by that layer; null before it. It outlives that
    /// layer's scope and is disposed with the enclosing one.
    /// </summary>
    public Tensor? FirstValues { get; private set; }

    /// <summary>The context of a pass over T tokens of each row, which continue what a state holds of the row, or begin it.</summary>
    /// <param name="rows">B.</param>
    /// <param name="tokens">T.</param>
    /// <param name="cachedLengths">For each row the number of tokens in the state; null for a pass without one.</param>
    /// <param name="newTokens">For each row how many of its T tokens are text, from the left; all where null.</param>
    /// <param name="rotary">The model's rotary positions; null for a model without.</param>
    /// <param name="contextLength">How many positions the model has.</param>
    /// <param name="device">The device of the pass.</param>
    /// <param name="keepsUnrotated">Whether the state caches keys unrotated, whatever the rotary positions.</param>
    public static ForwardContext For(
        int rows, int tokens, IReadOnlyList<int>? cachedLengths, IReadOnlyList<int>? newTokens,
        RotaryPosition? rotary, int contextLength, Device device, bool keepsUnrotated = false)
    {
        var starts = cachedLengths ?? new int[rows];
        int[] ends = [.. starts.Select((start, row) => start + (newTokens?[row] ?? tokens))];
        var isAligned = starts.All(start => start == starts[0]);
        var isFirst = isAligned && starts[0] == 0;
        var rotatesCache = cachedLengths is not null && rotary is not null && (keepsUnrotated || rotary.FollowsLength);
        var positions = isFirst && rotary is not { FollowsLength: true }
            ? null
            : PositionsOf(isAligned ? [starts[0]] : starts, tokens, contextLength, device);
        int[] lengths = cachedLengths is null ? [tokens] : ends;
        return new ForwardContext
        {
            Positions = isFirst ? null : positions,
            Causal = isFirst,
            Mask = isFirst || (isAligned && tokens == 1) ? null : Visible(positions!, ends.Max()),
            Rotation = positions is null ? rotary?.At(0, tokens) : rotary?.At(positions, lengths),
            CacheRotation = rotatesCache ? rotary!.At(arange(ends.Max(), device: device), lengths) : null,
            CachedLengths = cachedLengths ?? [],
            NewTokens = newTokens ?? [],
        };
    }

    /// <summary>The context of a pass over whole rows whose documents see nothing of each other.</summary>
    /// <param name="documents">
    /// For each token the document that it belongs to, each in one piece: [B, T], row by row; 0 for what stands before them and all of
    /// them see.
    /// </param>
    /// <param name="rows">B.</param>
    /// <param name="tokens">T.</param>
    /// <param name="rotary">The model's rotary positions; null for a model without.</param>
    /// <param name="contextLength">How many positions the model has.</param>
    /// <param name="device">The device of the pass.</param>
    /// <exception cref="Configuration.InputException">A document does not fit the positions.</exception>
    internal static ForwardContext OfDocuments(
        IReadOnlyList<int> documents, int rows, int tokens, RotaryPosition? rotary, int contextLength, Device device)
    {
        var positions = new long[rows * tokens];
        for (var (place, own, shared) = (0, 0, 0); place < positions.Length; place++)
        {
            if (place % tokens == 0) (own, shared) = (0, 0);
            else if (documents[place] != documents[place - 1]) own = 0;
            positions[place] = documents[place] == 0 ? shared++ : shared + own++;
        }
        InferenceModel.CheckLength((int)positions.Max() + 1, contextLength);
        var of = tensor(documents.ToArray(), rows, tokens).ToDeviceAsync(device);                           // [B, T]
        var isSeen = (of.unsqueeze(1) == of.unsqueeze(2)) | (of == 0).unsqueeze(1);                         // [B, T, T]
        var at = tensor(positions, rows, tokens).ToDeviceAsync(device);
        return new ForwardContext
        {
            Positions = at,
            Causal = false,
            Mask = (isSeen & ones(tokens, tokens, ScalarType.Bool, device).tril()).unsqueeze(1),            // [B, 1, T, T]
            Rotation = rotary?.At(at),
        };
    }

    // The positions of T tokens that continue rows of these lengths: [T] for one length, else [B, T]. Padding positions are clamped; their
    // outputs are discarded.
    private static Tensor PositionsOf(IReadOnlyList<int> starts, int tokens, int contextLength, Device device) =>
        (tensor(starts.Select(start => (long)start).ToArray()).ToDeviceAsync(device).unsqueeze(1) + arange(tokens, device: device))
            .clamp_max(contextLength - 1).squeeze(0);

    // Key s is visible to the query at position p if s <= p: [B or 1, 1, T, S].
    private static Tensor Visible(Tensor positions, int keys) => (arange(keys, device: positions.device) <= positions.unsqueeze(-1))
        .reshape(positions.dim() == 1 ? 1 : positions.shape[0], 1, positions.shape[^1], keys);

    internal Tensor KeepFirstValues(Tensor values) => FirstValues = values.MoveToOuterDisposeScope();

    /// <summary>How many tokens of a row are text, from the left.</summary>
    /// <param name="row">Which row of the batch.</param>
    /// <param name="tokens">T, the tokens of the pass.</param>
    public long NewTokensOf(int row, long tokens) => NewTokens.Count == 0 ? tokens : NewTokens[row];

    /// <summary>The type in which this pass computes products. Parameters and the residual stream are fp32 whatever it is.</summary>
    public ScalarType ProductType { get; init; } = ScalarType.Float32;

    /// <summary>A sub-layer's input, rounded to <see cref="ProductType"/>: its products are computed in the type of their input.</summary>
    public Tensor ForMatmul(Tensor x) => ProductType == ScalarType.Float32 ? x : x.to(ProductType);

    /// <summary>The ranks that share heads and hidden units; null where this process has all.</summary>
    public TensorParallelGroup? TensorParallelGroup { get; init; }

    /// <summary>The output of a sub-layer, summed over the ranks that share it.</summary>
    /// <param name="x">[B, T, C]</param>
    /// <param name="sublayer">The mixer or the MLP, or this rank's share of it: [B, T, C] to [B, T, C].</param>
    /// <returns>[B, T, C]</returns>
    internal Tensor OverRanks(Tensor x, Func<Tensor, Tensor> sublayer) =>
        TensorParallelGroup is null ? sublayer(x) : TensorParallelGroup.Apply(x, sublayer);

    /// <summary>Collects what layers add to the loss; null outside training.</summary>
    public AuxiliaryLosses? AuxiliaryLosses { get; init; }

    /// <summary>
    /// Activation checkpointing: blocks keep their input only and are recomputed in the backward
    /// pass. Null where they keep all activations.
    /// </summary>
    public Recomputation? Recomputation { get; init; }

    /// <summary>A copy for each computation of a recomputed block: the same, but with its own terms of the loss.</summary>
    /// <param name="firstValues">v_1.</param>
    /// <param name="pictures">The vectors of the pictures.</param>
    /// <param name="isAgain">Whether the block has been computed, and has left what the next segment remembers.</param>
    internal ForwardContext ForRecomputation(Tensor? firstValues, Tensor? pictures, bool isAgain) => this with
    {
        FirstValues = firstValues,
        Pictures = pictures is null ? null : Pictures! with { Vectors = pictures },
        AuxiliaryLosses = AuxiliaryLosses is null ? null : new(),
        MemoryAfter = isAgain ? null : MemoryAfter,
    };

    /// <summary>
    /// Collects the spans of each learned window in this pass, in tokens, within an hourglass in groups: [B or 1, H, T or 1], fp32, which
    /// outlive it and are the caller's.
    /// Null where they are not needed.
    /// </summary>
    public IDictionary<LearnedSpan, Tensor>? LearnedSpans { get; init; }

    /// <summary>
    /// Collects the weights of softmax attention without windows, and of cross-attention: [B, H, T, S], fp32, which outlive the pass and
    /// are the caller's. Null where they are not needed.
    /// </summary>
    public IDictionary<nn.Module, Tensor>? AttentionWeights { get; init; }
}
