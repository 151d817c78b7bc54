namespace Transformer.Configuration;

// T tokens · C width · L blocks · F hidden width · V vocabulary

/// <summary>
/// What a model weighs and costs, computed from its configuration alone: parameters, floating-point operations and bytes. All numbers are of
/// four bytes.
/// </summary>
public sealed class ModelSize
{
    private const int Bytes = 4;

    private readonly ModelConfig config;
    private readonly IReadOnlyList<MixerSize> mixers;
    private readonly MlpSize mlp;
    private readonly long width, layers, vocabulary;

    /// <param name="config">The architecture.</param>
    /// <param name="vocabularySize">V where the configuration leaves it to the tokenizer.</param>
    /// <exception cref="ArgumentException">V is given by neither.</exception>
    public ModelSize(ModelConfig config, int? vocabularySize = null)
    {
        this.config = config;
        vocabulary = config.VocabularySize ?? vocabularySize
            ?? throw new ArgumentException("model.vocabulary_size is left to the tokenizer: give the tokenizer's.", nameof(vocabularySize));
        (width, layers) = (config.Width, config.Layers);
        mixers = [.. Enumerable.Range(0, config.Layers).Select(layer => MixerSize.Of(config, layer))];
        mlp = MlpSize.Of(config.Mlp, width);
        Parts =
        [
            new("embedding", vocabulary * width, 0),
            Positions(),
            new("attention", mixers.Sum(mixer => mixer.Parameters), mixers.Sum(mixer => mixer.MatrixParameters)),
            new("mlp", layers * mlp.Parameters, layers * mlp.MatrixParameters),
            new("norms", Norms(), 0),
            new("residuals", layers * config.SubLayers * ResidualParameters(), 0),
            new("head", config.TiedHead ? 0 : vocabulary * width, vocabulary * width),
        ];
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
    /// The operations of training on one token: 6 a matrix parameter and those of the mixers, 6 T C a block for causal attention, C being the width of
    /// all heads together. Recomputation is not counted.
    /// </summary>
    /// <param name="tokensInContext">T, the length of the sequence that the token stands in.</param>
    /// <param name="labelled">The share of the tokens that have a target, and so logits.</param>
    public double FlopsPerToken(long tokensInContext, double labelled = 1) =>
        6 * (MatrixParameters - (1 - labelled) * vocabulary * width) + mixers.Sum(mixer => mixer.MixingFlops(tokensInContext));

    /// <summary>The operations of the forward pass alone: a third of those of training.</summary>
    /// <param name="tokensInContext">T, the length of the sequence that the token stands in.</param>
    public double ForwardFlopsPerToken(long tokensInContext) => FlopsPerToken(tokensInContext) / 3;

    /// <summary>The bytes of the parameters.</summary>
    public long ParameterBytes => Parameters * Bytes;

    /// <summary>The bytes of the gradients.</summary>
    public long GradientBytes => Parameters * Bytes;

    /// <summary>
    /// About how many bytes the forward pass keeps for the backward pass, the logits not counted: the input of every product, norm and nonlinearity, or the input
    /// of every block where blocks are computed again. What the fused kernels compute again (attention weights, turned queries and keys, the silu of a gate)
    /// is not kept, and dropout masks and the T x S numbers of score biases and soft caps are not counted.
    /// </summary>
    /// <param name="batchSize">B, the number of sequences in one forward pass.</param>
    /// <param name="tokens">T, the length of a sequence.</param>
    /// <param name="checkpointing">Whether blocks are computed again in the backward pass.</param>
    public long ActivationBytes(long batchSize, long tokens, bool checkpointing = false)
    {
        var blocks = checkpointing ? layers * Streams * width : mixers.Sum(BlockActivations);
        return batchSize * tokens * (blocks + 2 * width) * Bytes;                             // and what the last norm and the head are given
    }

    /// <summary>The bytes that a block takes while it is worked on, a token, beside what it keeps; with that where it is computed again.</summary>
    internal long BlockWorkspace(bool checkpointing) => Bytes * mixers.Select(mixer =>
        Math.Max(mixer.Workspace, mlp.Workspace) + Streams * width + (checkpointing ? BlockActivations(mixer) : 0)).DefaultIfEmpty().Max();

    /// <summary>The bytes of the logits of a token, and of what an embedding's gradient takes.</summary>
    internal (long Logits, long Embedding) VocabularyBytes => (Bytes * vocabulary, Bytes * vocabulary * width);

    /// <summary>The numbers in matrices between the embedding and the head, which Muon makes orthogonal.</summary>
    internal long HiddenMatrices => mixers.Sum(mixer => mixer.MatrixParameters) + layers * mlp.Matrices;

    /// <summary>V.</summary>
    internal long Vocabulary => vocabulary;

    // Numbers that a block keeps, a token.
    private long BlockActivations(MixerSize mixer) =>
        mixer.Activations + (config.Mlp is NoMlpConfig ? 0 : 2 * width + mlp.Activations) + config.SubLayers * ResidualActivations();

    private long Streams => config.Residual is HyperConnectionsResidualConfig hyper ? hyper.Streams : 1;

    /// <summary>The bytes that generation keeps after a number of tokens: the states of all blocks.</summary>
    public long StateBytes(long tokens) => Bytes * mixers.Sum(mixer => mixer.StateNumbers(tokens));

    private ModelSizePart Positions()
    {
        var softmax = Enumerable.Range(0, config.Layers).Select(config.AttentionAt).OfType<SoftmaxAttentionConfig>().ToList();
        return config.Position switch
        {
            LearnedPositionConfig => new("positions", config.ContextLength * width, 0),
            T5PositionConfig t5 => new("positions", t5.Buckets * config.SoftmaxMixers().First().Heads, 0),
            RelativePositionConfig relative when (relative.Maximum + 1L) * config.SoftmaxMixers().First().HeadWidthAt(config.Width) is var table =>
                new("positions", table, table * softmax.Sum(attention => attention.Heads)),    // every head of every block meets the table
            _ => new("positions", 0, 0),
        };
    }

    private long Norms() =>
        (config.Blocks().Sum(block => block.Sublayers.Sum(sublayer => sublayer.Norms.Count())) + (config.Residual.LastNorm ? 1 : 0)) * (config.Norm is LayerNormConfig { Bias: true } ? 2 : 1) * width;

    // Of one sub-layer.
    private long ResidualParameters() => config.Residual switch
    {
        ReZeroResidualConfig => 1,
        HyperConnectionsResidualConfig hyper => hyper.Streams * hyper.Streams + 2L * hyper.Streams,    // n x n, and n in and out
        _ => 0,
    };

    // What a sub-layer keeps beside the inputs of norms and sub-layers that pre-norm keeps too: its output where a norm or a number follows, and the
    // streams that it reads.
    private long ResidualActivations() => config.Residual switch
    {
        SandwichResidualConfig => width,
        HyperConnectionsResidualConfig hyper => (hyper.Streams + 1) * width,
        _ => 0,
    };
}
