namespace Transformer.Configuration;

// T tokens · C width · V vocabulary

/// <summary>
/// What a model weighs and costs, computed from its configuration alone: parameters, floating-point operations and bytes. All numbers are
/// of four bytes.
/// </summary>
public sealed class ModelSize
{
    private const int Bytes = 4;

    private readonly ModelConfig config;
    private readonly IReadOnlyList<ParameterSpec> parameters;
    private readonly IReadOnlyList<(MixerCost Mixer, MlpCost Mlp, int Sublayers, double Share)> blocks;
    private readonly IReadOnlyList<HourglassSpec> hourglasses;
    private readonly double unread;    // the matrix parameters that a token does not use, because groups do
    private readonly long width, vocabulary;

    /// <param name="config">The architecture.</param>
    /// <param name="vocabularySize">V where the configuration leaves it to the tokenizer.</param>
    /// <exception cref="ArgumentException">V is given by neither.</exception>
    public ModelSize(ModelConfig config, int? vocabularySize = null)
    {
        this.config = config;
        vocabulary = config.VocabularySize ?? vocabularySize
            ?? throw new ArgumentException("model.vocabulary_size is left to the tokenizer: give the tokenizer's.", nameof(vocabularySize));
        width = config.Width;
        parameters = [.. (config with { VocabularySize = (int)vocabulary }).Parameters()];
        blocks = [.. config.Blocks().Select(block =>
            (block.Mixer.CostAt(config.Width, block.MixesValues), block.Mlp.CostAt(config.Width), block.Sublayers.Count, block.Share))];
        hourglasses = [.. config.Hourglasses()];
        unread = Unread();
        if (config.Vision is { } vision)
            FlopsPerPicture = vision.FlopsPerPicture(config)
                + 6.0 * vision.Vectors * Count(parameter => parameter is { Component: ModelComponent.Vision, Block: not null });
        Parts = [.. Enum.GetValues<ModelComponent>().Select(component => new ModelSizePart(
            component.ToString().ToLowerInvariant(),
            Count(parameter => parameter.Component == component),
            MatrixParametersOf(component)))];
    }

    /// <summary>The size of what each of several ranks has of the model under tensor parallelism.</summary>
    /// <param name="ranks">How many there are.</param>
    /// <exception cref="InputException">So many cannot split it.</exception>
    public ModelSize ShareOf(int ranks)
    {
        TensorParallelShare.Check(config, ranks);
        return new(TensorParallelShare.Of(config, 0, ranks), (int)vocabulary);
    }

    /// <summary>The parameters by component, in the order of the way of a token through the model.</summary>
    public IReadOnlyList<ModelSizePart> Parts { get; }

    /// <summary>P, all trainable numbers.</summary>
    public long Parameters => Parts.Sum(part => part.Parameters);

    /// <summary>The weights that are used in matrix products, the head included (tied or not); not lookups, norms and biases.</summary>
    public long MatrixParameters => Parts.Sum(part => part.MatrixParameters);

    /// <summary>
    /// The operations of training on one token: 6 a matrix parameter and those of the mixers, 6 T C a block for causal attention, C being
    /// the width of all heads together. In an hourglass all of that is divided among the tokens of a group. Recomputation is not counted.
    /// </summary>
    /// <param name="tokensInContext">T, the length of the sequence that the token stands in.</param>
    /// <param name="labelled">The share of the tokens that have a target, and so logits.</param>
    /// <remarks>Memory tokens pass the blocks beside the words of their segment, and are counted with them.</remarks>
    public double FlopsPerToken(long tokensInContext, double labelled = 1)
    {
        var places = tokensInContext + config.Places - config.ContextLength;
        var mixing = blocks.Sum(block => block.Share * block.Mixer.MixingFlops(Groups(places, block.Share))) + CrossAttention;
        var taught = hourglasses.Sum(hourglass => hourglass.Config.Boundaries?.HeadProducts ?? 0);
        var matrices = MatrixParameters - unread + taught * vocabulary * width;
        var all = 6 * (matrices - (1 - labelled) * vocabulary * width) + mixing;
        return config.Memory is null ? all : all + (PlacesPerWord - 1) * (6.0 * (matrices - vocabulary * width) + mixing);
    }

    /// <summary>
    /// The operations of training on one picture, whatever the text: its encoder, and keys and values of cross-attention; 0 for a model
    /// of text alone.
    /// </summary>
    public double FlopsPerPicture { get; }

    // q k^T and the sum over v with the vectors of a picture, three times.
    private double CrossAttention => config.Vision is not GatedCrossAttentionConfig cross ? 0 : 12.0 * cross.Vectors * cross.Heads
        * cross.HeadWidthAt(config.Width) * config.Blocks().Count(block => block.HasCrossAttention);

    // How many groups so many tokens make: themselves outside of hourglasses.
    private static long Groups(long tokens, double share) => share == 1 ? tokens : Math.Max(1, (long)Math.Ceiling(tokens * share));

    // In an hourglass a group uses what each of its tokens would use.
    private double Unread()
    {
        double sum = 0;
        foreach (var block in config.Blocks().Where(block => block.Share < 1))
        {
            var matrices = Count(parameter => parameter.Block?.Path == block.Path
                && parameter is { Component: ModelComponent.Attention or ModelComponent.Memory, Shape.Length: 2 });
            sum += (1 - block.Share) * (matrices + block.Mlp.CostAt(config.Width).MatrixParameters);
        }
        foreach (var hourglass in hourglasses)
        {
            var (ofTokens, ofGroups) = MatricesOf(hourglass);
            sum += (1 - hourglass.Share) * ofTokens + (1 - hourglass.Share * hourglass.Config.GroupsPerToken) * ofGroups;
        }
        return sum;
    }

    private (long OfTokens, long OfGroups) MatricesOf(HourglassSpec hourglass)
    {
        var (config, model) = (hourglass.Config, this.config);
        if (config.Boundaries is { } boundaries)
        {
            return (boundaries.Parameters(model.Width)
                .Where(parameter => parameter.Shape.Length == 2).Sum(parameter => parameter.Count), 0);
        }
        var (down, up) = (
            config.Pooling.MatrixParameters(model, config.Shorten!.Value), config.Upsampling.MatrixParameters(model, config.Shorten.Value));
        return (down.OfTokens + up.OfTokens, down.OfGroups + up.OfGroups);
    }

    // What pooling, upsampling and predictors keep, a token of the text.
    private double EdgesOf(HourglassSpec hourglass)
    {
        var (share, edges) = (hourglass.Share, hourglass.Config);
        if (edges.Boundaries is { } boundaries) return share * boundaries.ActivationsAt(config.Width);
        var (down, up) = (edges.Pooling.ActivationsIn(config), edges.Upsampling.ActivationsIn(config));
        return share * (down.OfTokens + up.OfTokens + edges.GroupsPerToken * (down.OfGroups + up.OfGroups));
    }

    private double PlacesPerWord => (double)config.Places / config.ContextLength;

    /// <summary>The operations of the forward pass alone: a third of those of training.</summary>
    /// <param name="tokensInContext">T, the length of the sequence that the token stands in.</param>
    public double ForwardFlopsPerToken(long tokensInContext) => FlopsPerToken(tokensInContext) / 3;

    /// <summary>The bytes of the parameters.</summary>
    public long ParameterBytes => Parameters * Bytes;

    /// <summary>The bytes of the gradients.</summary>
    public long GradientBytes => Parameters * Bytes;

    /// <summary>
    /// About how many bytes the forward pass keeps for the backward pass, the logits not counted: the input of every product, norm and
    /// nonlinearity, or the input of every block where blocks are computed again. What the fused kernels compute again (attention weights,
    /// rotated queries and keys, the silu of a gate) is not kept, and dropout masks and the T x S numbers of score biases and soft caps are
    /// not counted.
    /// </summary>
    /// <param name="batchSize">B, the number of sequences in one forward pass.</param>
    /// <param name="tokens">T, the length of a sequence.</param>
    /// <param name="checkpointing">Whether blocks are computed again in the backward pass.</param>
    public long ActivationBytes(long batchSize, long tokens, bool checkpointing = false)
    {
        var remembering = config.Memory?.ActivationsAt(config.Width) ?? 0;    // computed outside of blocks
        var kept = blocks.Sum(block => block.Share
            * (remembering + (checkpointing ? Streams * width : BlockActivations(block.Mixer, block.Mlp, block.Sublayers))));
        // what leads into an hourglass and out of it: the tokens before and after, their groups before and after
        var around = hourglasses.Sum(hourglass => hourglass.Share * (2 + 2 * hourglass.Config.GroupsPerToken) * width + EdgesOf(hourglass));
        // and what norm and head are given
        return (long)((long)(batchSize * tokens * PlacesPerWord) * (kept + around + 2 * width)) * Bytes;
    }

    /// <summary>
    /// The bytes that a block takes while it is worked on, a token, beside what it keeps; with that where it is computed again.
    /// </summary>
    internal long BlockWorkspace(bool checkpointing) => Bytes * blocks.Select(block =>
        Math.Max(block.Mixer.Workspace, block.Mlp.Workspace) + Streams * width
        + (checkpointing ? BlockActivations(block.Mixer, block.Mlp, block.Sublayers) : 0)).DefaultIfEmpty().Max();

    /// <summary>The bytes of the logits of a token, and of what an embedding's gradient takes.</summary>
    internal (long Logits, long Embedding) VocabularyBytes => (Bytes * vocabulary, Bytes * vocabulary * width);

    /// <summary>The numbers in matrices between the embedding and the head, which Muon makes orthogonal.</summary>
    internal long HiddenMatrices => Count(parameter => parameter.IsHidden);

    /// <summary>V.</summary>
    internal long Vocabulary => vocabulary;

    // Numbers that a block keeps, a token; 2 C of them the inputs of a feed-forward layer and of its norm.
    private long BlockActivations(MixerCost mixer, MlpCost mlp, int sublayers) =>
        mixer.Activations + (sublayers > 1 ? 2 * width + mlp.Activations : 0) + sublayers * config.Residual.ActivationsAt(config.Width);

    private long Streams => config.Residual.StreamCount;

    /// <summary>
    /// The bytes that generation keeps after a number of tokens: the states of all blocks, those of a whole segment where texts are read in
    /// segments.
    /// </summary>
    public long StateBytes(long tokens) =>
        Bytes * (StateNumbers(config.Nodes(), config.HasSegments ? config.Places : tokens) + (config.Memory?.StateNumbers(config) ?? 0));

    // There is room for as many groups as there can be. Beside them an hourglass keeps what it needs of the open group, what was received
    // last and two counts.
    private long StateNumbers(IEnumerable<StackNode> nodes, long tokens) => nodes.Sum(node => node switch
    {
        BlockSpec block => block.Mixer.CostAt(config.Width, block.MixesValues).StateNumbers(tokens)
            + (block.HasCrossAttention ? ((GatedCrossAttentionConfig)config.Vision!).StateNumbers(config.Width) : 0),
        HourglassSpec { Config: var hourglass } inner =>
            (hourglass.Shorten ?? 2) * width + 2 + StateNumbers(inner.Layers, hourglass.MostGroups((int)tokens)),
        _ => throw new ArgumentOutOfRangeException(nameof(nodes), node, "no such part of a stack"),
    });

    private long Count(Func<ParameterSpec, bool> isCounted) => parameters.Where(isCounted).Sum(parameter => parameter.Count);

    private long MatrixParametersOf(ModelComponent component) => component switch
    {
        ModelComponent.Positions => config.Position.MatrixParameters(config),
        ModelComponent.Memory => Count(parameter => parameter is { Component: ModelComponent.Memory, Block: not null, Shape.Length: 2 }),
        ModelComponent.Attention => Count(parameter => parameter.Component == component && parameter.Shape.Length == 2),
        ModelComponent.Mlp => blocks.Sum(block => block.Mlp.MatrixParameters) + config.Blocks().Sum(block =>
            block.HasCrossAttention ? ((GatedCrossAttentionConfig)config.Vision!).Mlp.CostAt(config.Width).MatrixParameters : 0),
        ModelComponent.Hourglasses => hourglasses.Sum(hourglass => MatricesOf(hourglass).OfTokens + MatricesOf(hourglass).OfGroups),
        ModelComponent.Head => vocabulary * width,
        _ => 0,
    };
}
