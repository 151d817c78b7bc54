using TorchSharp;
using Transformer.Configuration;
using Transformer.Inference;
using Transformer.Layers;
using Transformer.Layers.Attention;
using Transformer.Layers.Memory;
using Transformer.Layers.Positions;
using Transformer.Layers.Vision;
using Transformer.Model.Hierarchy;
using Transformer.Model.Vision;
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
    private Precision precision;

    /// <param name="config">The architecture; its vocabulary size is known. Parameters are drawn by libtorch's generator.</param>
    /// <param name="device">The device of the parameters; the CPU where null.</param>
    /// <param name="draw">False where the parameters are loaded next and need not be drawn.</param>
    public TransformerModel(ModelConfig config, Device? device = null, bool draw = true) : this(config, device, draw, group: null) { }

    /// <param name="config">The architecture of the whole model.</param>
    /// <param name="device">The device of the parameters; the CPU where null.</param>
    /// <param name="draw">Whether they are drawn, which only those of a whole model can be.</param>
    /// <param name="group">The ranks that share heads and hidden units; null where this process has all.</param>
    internal TransformerModel(ModelConfig config, Device? device, bool draw, TensorParallelGroup? group) : base(nameof(TransformerModel))
    {
        (Config, TensorParallelGroup) = (config, group);
        Device = device ?? CPU;
        model = new Decoder(group is null ? config : TensorParallelShare.Of(config, group.Rank, group.Count));
        if (!config.TiedHead) lm_head = new Linear(config.Width, config.VocabularySize!.Value, hasBias: false);
        RegisterComponents();
        ParameterSpecs = SpecifiedParameters.Of(config, Weights.Select(weight => (weight.Name, weight.Value.shape)), group);
        if (group is { Rank: > 0 }) LeaveOutputBiasesToFirstRank();
        if (draw) WeightInitialization.Apply(this);
        this.to(Device);
        if (config is { Position: RotaryPositionConfig rope, RotaryWidth: { } headWidth })
            rotary = new RotaryPosition(rope, headWidth, config.MostPlaces, Device);
    }

    /// <summary>The architecture, of the whole model.</summary>
    public ModelConfig Config { get; }

    /// <summary>
    /// The ranks that share heads and hidden units, all of which take part in every pass; null where this process has the whole model.
    /// </summary>
    public TensorParallelGroup? TensorParallelGroup { get; }

    /// <summary>The device of the parameters.</summary>
    public Device Device { get; }

    /// <summary>
    /// The type of the products of every later pass; fp32 by default. Parameters stay fp32: each product casts its inputs, and norms,
    /// softmax, loss, recurrent states and the residual stream are fp32 under all of them (Micikevicius et al. 2018, arXiv:1710.03740).
    /// tf32 is a switch of the process.
    /// </summary>
    /// <exception cref="InputException">tf32 for a model that is not on an NVIDIA GPU.</exception>
    public Precision Precision
    {
        get => precision;
        set
        {
            if (Device.type == DeviceType.CUDA)
                backends.cuda.matmul.allow_tf32 = backends.cudnn.allow_tf32 = value == Precision.Tf32;    // cudnn convolves
            else if (value == Precision.Tf32)
            {
                throw new InputException(
                    $"training.precision: found tf32, which only NVIDIA's GPUs compute in, but the model is on {Device}. "
                    + "Take fp32 or bf16.");
            }
            precision = value;
        }
    }

    /// <summary>The spec of each parameter of the whole model, by name, in the order in which they are drawn.</summary>
    public IReadOnlyDictionary<string, ParameterSpec> ParameterSpecs { get; }

    /// <summary>Hooks around each block in every pass, or null.</summary>
    internal BlockHooks? BlockHooks { set => model.Hooks = value; }

    /// <summary>All parameters by the names under which checkpoints hold them.</summary>
    public IEnumerable<(string Name, Tensor Value)> Weights =>
        named_parameters().Select(parameter => (parameter.name, (Tensor)parameter.parameter));

    /// <summary>The memory tokens with which a text begins: [m, C]; null in a model without.</summary>
    public Tensor? MemoryTokens => model.Memory;

    /// <summary>The state of rows that have no tokens yet.</summary>
    /// <param name="rows">B, the number of sequences.</param>
    /// <param name="capacity">The greatest number of tokens a sequence, at most the context length; the context length where null.</param>
    /// <exception cref="InvalidOperationException">The model reads texts in segments, of which a state holds one.</exception>
    public TorchSequenceState NewState(int rows, int? capacity = null) => Config.HasSegments
        ? throw new InvalidOperationException($"{nameof(SegmentedInferenceModel)} reads the texts of a model with segments")
        : NewState(rows, InferenceModel.CapacityOf(Config.Places, capacity), owner: this);

    internal TorchSequenceState NewState(int rows, int capacity, object owner, bool canDrop = false)
    {
        var states = model.Stateful.Select(module => Stack.NewState(module, rows, capacity, Device));
        return new(owner, [.. states], rows, capacity, canTruncate: rotary is not { FollowsLength: true }, canDrop);
    }

    /// <param name="ids">[B, T], integers below V.</param>
    /// <param name="state">Null for a pass over whole sequences; else the tokens continue those that the
    /// state holds, and are appended to it.</param>
    /// <returns>The logits of each token's successor: [B, T, V].</returns>
    /// <exception cref="InputException">The tokens do not fit the context length.</exception>
    public override Tensor forward(Tensor ids, TorchSequenceState? state)
    {
        using var hidden = Hidden(ids, state);
        return Logits(hidden);
    }

    /// <summary>The embeddings of tokens, without positions.</summary>
    /// <param name="ids">[B, T], integers below V.</param>
    /// <returns>[B, T, C]</returns>
    public Tensor Embed(Tensor ids) => model.Embed(ids);

    /// <summary>What the text reads of pictures, which is the same wherever they stand.</summary>
    /// <param name="pixels">Pictures as <see cref="VisionConfig.Image"/> says: [I, 3, S, S].</param>
    /// <param name="recomputation">Activation checkpointing; null where blocks keep all activations.</param>
    /// <returns>[I, N, C]</returns>
    public Tensor EncodePictures(Tensor pixels, Recomputation? recomputation = null)
    {
        var encoder = model.Vision ?? throw new InvalidOperationException("the model reads text alone");
        using var scope = NewDisposeScope();
        var context = new ForwardContext { Causal = false, ProductType = ProductTypes.Of(precision), Recomputation = recomputation };
        return scope.MoveToOuter(encoder.call(pixels, context));
    }

    /// <summary>The last layer's normalised output, from which the head makes logits.</summary>
    /// <param name="ids">[B, T], integers below V; -1 at the placeholders of pictures.</param>
    /// <param name="state">As for <see cref="forward"/>.</param>
    /// <param name="newTokens">
    /// For each row how many of its T tokens are text, from the left; the state does not keep the rest, so that prompts of unequal length,
    /// and rows that have ended, share a pass. All where null.
    /// </param>
    /// <param name="pictures">The pictures of the placeholders, of all those of a picture together; null where there are none.</param>
    /// <param name="documents">
    /// As <see cref="Data.Batch.Documents"/>: [B, T], in a pass without a state; null where every row is one text.
    /// </param>
    /// <returns>[B, T, C]</returns>
    /// <exception cref="InputException">The tokens do not fit the context length.</exception>
    /// <exception cref="InvalidOperationException">The model cannot keep documents of one row apart.</exception>
    public Tensor Hidden(
        Tensor ids, TorchSequenceState? state = null, IReadOnlyList<int>? newTokens = null, PictureVectors? pictures = null,
        IReadOnlyList<int>? documents = null)
    {
        if (state is null && Config.HasSegments)
        {
            var (hidden, memory) = Continue(ids, memory: null);
            memory.Dispose();
            return hidden;
        }
        using var embeddings = EmbedWith(ids, pictures);
        return Pass(embeddings, new() { Ids = ids, State = state, NewTokens = newTokens, Pictures = pictures, Documents = documents });
    }

    /// <summary>The embeddings of a text with pictures: [B, T] to [B, T, C].</summary>
    internal Tensor EmbedWith(Tensor ids, PictureVectors? pictures) => pictures is null ? Embed(ids)
        : model.Embed(ids, pictures.InPlaces(ids, HasCrossAttention));

    internal bool HasCrossAttention => Config.Vision is GatedCrossAttentionConfig;

    internal IReadOnlyList<Block> Blocks => model.Blocks;

    /// <summary>As <see cref="Hidden"/>, segment by segment, with memory.</summary>
    /// <param name="ids">[B, N], integers below V, of any number of segments.</param>
    /// <param name="memory">What is remembered of each row's text so far; null where it begins. It stays the caller's.</param>
    /// <param name="starts">Which segments begin a new text: [B, K], row by row; none where null.</param>
    /// <returns>[B, N, C] and what is then remembered, which is the caller's.</returns>
    public (Tensor Hidden, SegmentMemory Memory) Continue(Tensor ids, SegmentMemory? memory, IReadOnlyList<bool>? starts = null) =>
        new SegmentedPass(this).Read(ids, memory, starts);

    /// <summary>As <see cref="Hidden"/>, for embeddings that need not be those of tokens. Positions are added here.</summary>
    /// <param name="embeddings">[B, T, C], such as <see cref="Embed"/> makes.</param>
    /// <param name="state">As for <see cref="forward"/>.</param>
    /// <param name="newTokens">As for <see cref="Hidden"/>.</param>
    /// <returns>[B, T, C]</returns>
    /// <exception cref="InputException">The embeddings do not fit the context length.</exception>
    /// <exception cref="InvalidOperationException">The model reads texts in segments, and there is no state of one.</exception>
    public Tensor HiddenFromEmbeddings(Tensor embeddings, TorchSequenceState? state = null, IReadOnlyList<int>? newTokens = null) =>
        state is null && Config.HasSegments
            ? throw new InvalidOperationException($"{nameof(Continue)} reads the texts of a model with segments")
            : Pass(embeddings, new() { State = state, NewTokens = newTokens });

    /// <summary>A pass of training over whole sequences: what <see cref="Hidden"/> gives, and what the layers add to the loss.</summary>
    /// <param name="ids">[B, T], integers below V.</param>
    /// <param name="recomputation">Activation checkpointing; reports after the backward pass whether it failed. Null
    /// where blocks keep all activations.</param>
    /// <param name="pieceEnds">1 at a token that ends a piece, which teaches boundaries of kind pieces: [B, T]; nothing where null.</param>
    /// <param name="pictures">As for <see cref="Hidden"/>.</param>
    /// <param name="documents">As for <see cref="Hidden"/>.</param>
    /// <returns>[B, T, C] and a scalar, weights included; null where no layer adds anything.</returns>
    /// <exception cref="InputException">The tokens do not fit the context length.</exception>
    public (Tensor Hidden, Tensor? Penalty) HiddenAndPenalty(
        Tensor ids, Recomputation? recomputation = null, Tensor? pieceEnds = null, PictureVectors? pictures = null,
        IReadOnlyList<int>? documents = null)
    {
        if (Config.HasSegments)
        {
            var (all, penalty, memory) = HiddenAndPenalty(ids, memory: null, starts: null, backpropagationSegments: null, recomputation);
            memory.Dispose();
            return (all, penalty);
        }
        var losses = new AuxiliaryLosses();
        using var embeddings = EmbedWith(ids, pictures);
        var boundaries = BoundaryTeaching.IsNeededBy(Config) ? new List<TokenBoundaries>() : null;
        var hidden = Pass(embeddings, new()
        {
            Ids = ids,
            AuxiliaryLosses = losses,
            Recomputation = recomputation,
            Boundaries = boundaries,
            Pictures = pictures,
            Documents = documents,
        });
        if (boundaries is not null) BoundaryTeaching.Teach(boundaries, hidden, this, pieceEnds, losses);
        return (hidden, losses.Total());
    }

    /// <summary>A pass of training over rows of segments.</summary>
    /// <param name="ids">[B, N], integers below V.</param>
    /// <param name="memory">What is remembered of each row's text so far; null where it begins. It stays the caller's.</param>
    /// <param name="starts">Which segments begin a new text: [B, K], row by row; none where null.</param>
    /// <param name="backpropagationSegments">After how many segments the gradient is cut; never where null.</param>
    /// <param name="recomputation">As for the other.</param>
    /// <returns>[B, N, C], a scalar or null, and what is then remembered, with its graph; it is the caller's.</returns>
    public (Tensor Hidden, Tensor? Penalty, SegmentMemory Memory) HiddenAndPenalty(
        Tensor ids, SegmentMemory? memory, IReadOnlyList<bool>? starts, int? backpropagationSegments, Recomputation? recomputation = null)
    {
        var losses = new AuxiliaryLosses();
        var pass = new SegmentedPass(this)
        {
            AuxiliaryLosses = losses,
            BackpropagationSegments = backpropagationSegments,
            Recomputation = recomputation,
        };
        var (hidden, after) = pass.Read(ids, memory, starts);
        var segments = (ids.shape[1] + Config.ContextLength - 1) / Config.ContextLength;
        return (hidden, losses.Total() is { } penalty ? penalty / segments : null, after);
    }

    /// <summary>The mean span that each head of each block has learned, over tokens of a text: in tokens, or in groups.</summary>
    /// <param name="ids">[B, T], integers below V.</param>
    /// <param name="chosen">The tokens that count, at least one, by their places in [B * T]; all where null.</param>
    /// <param name="pictures">As for <see cref="Hidden"/>.</param>
    /// <returns>For each block a span a head, none where its window is not learned; null where no block's is.</returns>
    public IReadOnlyList<IReadOnlyList<float>>? MeanSpans(Tensor ids, IReadOnlyList<int>? chosen = null, PictureVectors? pictures = null)
    {
        IReadOnlyList<LearnedSpan?> windows = [.. model.Blocks.Select(block => block.modules().OfType<LearnedSpan>().SingleOrDefault())];
        if (windows.All(window => window is null)) return null;
        using var scope = NewDisposeScope();
        var spans = new Dictionary<LearnedSpan, Tensor>();
        if (Config.HasSegments) new SegmentedPass(this) { LearnedSpans = spans }.Read(ids).Memory.Dispose();
        else Pass(EmbedWith(ids, pictures), new() { Ids = ids, LearnedSpans = spans, Pictures = pictures }).Dispose();
        foreach (var own in spans.Values) scope.Attach(own);
        return [.. windows.Select(window => window is null ? [] : OfAllRanks(Mean(spans[window])))];

        Tensor Mean(Tensor spans)                                                                   // [B or 1, H, T or 1] to [H]
        {
            var ofTokens = spans.expand(ids.shape[0], -1, ids.shape[1]).transpose(1, 2).flatten(0, 1);          // [B * T, H]
            return (chosen is null ? ofTokens : ofTokens.index_select(0, tensor(chosen.ToArray(), device: ids.device))).mean([0]);
        }

        IReadOnlyList<float> OfAllRanks(Tensor own) =>
            [.. (TensorParallelGroup?.Join(own, 0) ?? own).ToHost().Select(span => (float)span)];
    }

    /// <summary>Where groups of tokens end, for each hourglass with boundaries that reads tokens, in the order of the stream.</summary>
    /// <param name="ids">[B, T], integers below V.</param>
    /// <param name="pictures">As for <see cref="Hidden"/>.</param>
    /// <returns>The caller disposes each.</returns>
    public IReadOnlyList<TokenBoundaries> Boundaries(Tensor ids, PictureVectors? pictures = null)
    {
        if (!Config.HasBoundaries) return [];
        using var scope = NewDisposeScope();
        var boundaries = new List<TokenBoundaries>();
        if (Config.HasSegments) new SegmentedPass(this) { Boundaries = boundaries }.Read(ids).Memory.Dispose();
        else Pass(EmbedWith(ids, pictures), new() { Ids = ids, Boundaries = boundaries, Pictures = pictures });
        return boundaries;
    }

    // The outputs of a map whose inputs are split are summed over the ranks, so that its bias, which all of them have, is added by one.
    private void LeaveOutputBiasesToFirstRank()
    {
        foreach (var (name, layer) in named_modules())
        {
            if (layer is Linear output && ParameterSpecs.TryGetValue($"{name}.weight", out var weight) && weight.SplitDimension == 1)
                output.AddsBias = false;
        }
    }

    /// <summary>A pass of the model, or of one segment with its memory tokens among the embeddings.</summary>
    /// <param name="embeddings">[B, T, C]</param>
    /// <param name="request">What else there is.</param>
    /// <returns>[B, T, C]</returns>
    internal Tensor Pass(Tensor embeddings, PassRequest request)
    {
        using var scope = NewDisposeScope();
        var (rows, tokens, state) = ((int)embeddings.shape[0], (int)embeddings.shape[1], request.State);
        if (state is not null && rows != state.Lengths.Count)
            throw new ArgumentException($"{rows} rows do not continue a state of {state.Lengths.Count} rows", nameof(embeddings));
        int[] counts = [.. request.NewTokens ?? Enumerable.Repeat(tokens, rows)];
        if (request.Documents is null)
        {
            var end = counts.Select((count, row) => (state?.Lengths[row] ?? 0) + count).Max();
            InferenceModel.CheckLength(end, state?.Capacity ?? Config.Places);
        }
        else if (!Config.SeparatesDocuments || state is not null)
        {
            throw new InvalidOperationException("this pass cannot keep documents of one row apart");
        }
        var context = (request.Documents is { } documents
            ? ForwardContext.OfDocuments(documents, rows, tokens, rotary, Config.Places, Device)
            : ForwardContext.For(
                rows, tokens, state?.Lengths, request.NewTokens, rotary, Config.Places, Device, state is { CanDrop: true })) with
        {
            Ids = request.Ids,
            Pictures = HasCrossAttention && request.Pictures is { } pictures
                ? SeenPictures.Of(pictures.Vectors, pictures.Of, request.Ids! < 0)
                : null,
            States = state is null ? null : model.Stateful.Zip(state.Layers).ToDictionary(),
            MemoryBefore = request.MemoryBefore,
            MemoryAfter = request.MemoryAfter,
            SegmentLength = Config.ContextLength,
            Bias = model.PositionBias,
            Rotary = rotary,
            ProductType = ProductTypes.Of(precision),
            TensorParallelGroup = TensorParallelGroup,
            AuxiliaryLosses = request.AuxiliaryLosses,
            LearnedSpans = request.LearnedSpans,
            Boundaries = request.Boundaries,
            Recomputation = request.Recomputation,
            AttentionWeights = request.AttentionWeights,
        };
        context.KeepForRecomputation();
        var hidden = model.call(embeddings, context);
        if (ReferenceEquals(hidden, embeddings)) hidden = embeddings.alias();    // no block changes the caller's numbers
        state?.Advance(counts);
        return scope.MoveToOuter(hidden);
    }

    /// <summary>The head: [..., C] to [..., V], fp32.</summary>
    public Tensor Logits(Tensor hidden)
    {
        hidden = hidden.to(ProductTypes.Of(precision));
        var logits = (lm_head?.call(hidden) ?? Linear.Apply(hidden, Head)).ToFloat32();
        return Config.LogitScale == 1 ? logits : logits * Config.LogitScale;
    }

    /// <summary>The losses of the head, by <see cref="LanguageModelLoss.OfHead"/>.</summary>
    /// <param name="hidden">[B, T, C]</param>
    /// <param name="targets">[B, T]</param>
    /// <param name="zLoss">The weight of the z-loss.</param>
    public (Tensor CrossEntropy, Tensor Total) Loss(Tensor hidden, Tensor targets, double zLoss = 0)
    {
        var type = ProductTypes.Of(precision);
        return LanguageModelLoss.OfHead(hidden.to(type), Head.to(type), targets, zLoss, Config.LogitScale);
    }

    private Tensor Head => lm_head?.Weight ?? model.TokenEmbedding;    // [V, C]

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing) rotary?.Dispose();
        base.Dispose(disposing);
    }
}
