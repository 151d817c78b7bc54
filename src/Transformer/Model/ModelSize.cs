using Transformer.Configuration;

namespace Transformer.Model;

// T tokens · C width · L blocks · H heads · G key/value heads · D head width · F hidden width · V vocabulary

/// <summary>
/// What a model weighs and costs, computed from its configuration alone: parameters, floating-point operations and bytes. All numbers are of
/// four bytes.
/// </summary>
public sealed class ModelSize
{
    private const int Bytes = 4;

    private readonly ModelConfig config;
    private readonly SoftmaxAttentionConfig attention;
    private readonly long width, layers, heads, keyValueHeads, headWidth, hidden, vocabulary;

    /// <param name="config">The architecture.</param>
    /// <param name="vocabularySize">V where the configuration leaves it to the tokenizer.</param>
    /// <exception cref="ArgumentException">V is given by neither.</exception>
    public ModelSize(ModelConfig config, int? vocabularySize = null)
    {
        this.config = config;
        attention = config.Attention as SoftmaxAttentionConfig
            ?? throw new NotSupportedException($"The size of {config.Attention.GetType().Name} is not known.");
        vocabulary = config.VocabularySize ?? vocabularySize
            ?? throw new ArgumentException("model.vocabulary_size is left to the tokenizer: give the tokenizer's.", nameof(vocabularySize));
        (width, layers, heads) = (config.Width, config.Layers, attention.Heads);
        keyValueHeads = attention.KvHeads ?? heads;
        headWidth = attention.HeadWidth ?? width / heads;
        hidden = config.Mlp.HiddenAt(config.Width);
        Parts =
        [
            new("embedding", vocabulary * width, 0),
            new("positions", config.Position is LearnedPositionConfig ? config.ContextLength * width : 0, 0),
            Attention(),
            Mlp(),
            new("norms", Norms(), 0),
            new("head", config.TiedHead ? 0 : vocabulary * width, vocabulary * width),
        ];
    }

    /// <summary>The parameters by component, in the order of the way of a token through the model.</summary>
    public IReadOnlyList<ModelSizePart> Parts { get; }

    /// <summary>P, all trainable numbers.</summary>
    public long Parameters => Parts.Sum(part => part.Parameters);

    /// <summary>The weights that are used in matrix products, the head included (tied or not); not lookups, norms and biases.</summary>
    public long MatrixParameters => Parts.Sum(part => part.MatrixParameters);

    /// <summary>
    /// The operations of training on one token: 6 a matrix parameter and 6 L T C for causal attention, C being the width of all heads together.
    /// Recomputation is not counted.
    /// </summary>
    /// <param name="tokensInContext">T, the length of the sequence that the token stands in.</param>
    public double FlopsPerToken(long tokensInContext) => 6.0 * MatrixParameters + 6.0 * layers * tokensInContext * heads * headWidth;

    /// <summary>The operations of the forward pass alone: a third of those of training.</summary>
    /// <param name="tokensInContext">T, the length of the sequence that the token stands in.</param>
    public double ForwardFlopsPerToken(long tokensInContext) => FlopsPerToken(tokensInContext) / 3;

    /// <summary>The bytes of the parameters.</summary>
    public long ParameterBytes => Parameters * Bytes;

    /// <summary>The bytes of the gradients.</summary>
    public long GradientBytes => Parameters * Bytes;

    /// <summary>The bytes that an optimizer remembers: two moments a parameter for AdamW; for Muon's hidden matrices their momentum only.</summary>
    public long MomentBytes(OptimizerConfig optimizer) => Bytes * optimizer switch
    {
        MuonConfig => 2 * Parameters - Parts.Where(part => part.Name is "attention" or "mlp").Sum(part => part.MatrixParameters),
        _ => 2 * Parameters,
    };

    /// <summary>
    /// About how many bytes the forward pass keeps for the backward pass: the input of every product, norm and nonlinearity, and the logits twice.
    /// What the fused kernels compute again (attention weights, turned queries and keys, the silu of a gate) is not kept, and dropout masks are
    /// not counted.
    /// </summary>
    /// <param name="batchSize">B, the number of sequences in one forward pass.</param>
    /// <param name="tokens">T, the length of a sequence.</param>
    public long ActivationBytes(long batchSize, long tokens)
    {
        var queries = heads * headWidth;
        var keys = keyValueHeads * headWidth;
        var attended = 2 * width + 2 * queries + 2 * keys + heads;
        var fed = 2 * width + (config.Mlp is SwiGluMlpConfig ? 3 : 2) * hidden;
        return batchSize * tokens * (layers * (attended + fed) + 3 * width + 2 * vocabulary) * Bytes;
    }

    /// <summary>The bytes that generation keeps of each token: keys and values of every block.</summary>
    public long CacheBytesPerToken => 2 * layers * keyValueHeads * headWidth * Bytes;

    /// <summary>The bytes of the keys and values of a full context.</summary>
    public long CacheBytes => CacheBytesPerToken * config.ContextLength;

    private ModelSizePart Attention()
    {
        var matrices = width * headWidth * (2 * heads + 2 * keyValueHeads);                   // q and o, k and v
        var biases = attention.Bias ? headWidth * (heads + 2 * keyValueHeads) + width : 0;    // q, k and v, o
        var norms = attention.QueryKeyNorm ? 2 * headWidth : 0;
        return new("attention", layers * (matrices + biases + norms), layers * matrices);
    }

    private ModelSizePart Mlp()
    {
        var into = config.Mlp is SwiGluMlpConfig ? 2 : 1;                                     // gate and up, or up
        var matrices = (into + 1) * width * hidden;
        var biases = config.Mlp.Bias ? into * hidden + width : 0;
        return new("mlp", layers * (matrices + biases), layers * matrices);
    }

    // One before each sub-layer and one before the head.
    private long Norms() => (2 * layers + 1) * (config.Norm is LayerNormConfig { Bias: true } ? 2 : 1) * width;
}
