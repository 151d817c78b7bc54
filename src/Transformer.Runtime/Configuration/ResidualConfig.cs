using System.Text.Json.Serialization;

namespace Transformer.Configuration;

// C width · L blocks · n streams

/// <summary>How sub-layers meet the residual stream.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "kind")]
[JsonDerivedType(typeof(PreNormResidualConfig), "pre_norm")]
[JsonDerivedType(typeof(PostNormResidualConfig), "post_norm")]
[JsonDerivedType(typeof(SandwichResidualConfig), "sandwich")]
[JsonDerivedType(typeof(DeepNormResidualConfig), "deep_norm")]
[JsonDerivedType(typeof(ReZeroResidualConfig), "rezero")]
[JsonDerivedType(typeof(HyperConnectionsResidualConfig), "hyper_connections")]
public abstract record ResidualConfig
{
    /// <summary>Whether a norm stands before each sub-layer.</summary>
    public virtual bool NormBefore => true;

    /// <summary>Whether a norm stands behind each sub-layer.</summary>
    public virtual bool NormAfter => false;

    /// <summary>
    /// Whether one more norm stands before the head: where the stream itself is never normalised, it grows with every block.
    /// </summary>
    public virtual bool LastNorm => true;

    /// <summary>n, the vectors that a token's stream is.</summary>
    internal virtual int StreamCount => 1;

    /// <summary>The residual's own parameters of one sub-layer, named relative to it.</summary>
    public virtual IEnumerable<ParameterSpec> Parameters() => [];

    /// <summary>
    /// What a token of one sub-layer keeps for the backward pass beside the inputs of norms and sub-layers, which pre-norm keeps too: its
    /// output where a norm or a number follows, and the streams that it reads.
    /// </summary>
    internal virtual long ActivationsAt(int width) => 0;

    /// <summary>
    /// What matrices that scale a sub-layer's output are multiplied by once they are drawn: values, MLPs and projections into the stream.
    /// </summary>
    /// <param name="layers">L.</param>
    internal virtual double InitialScale(int layers) => 1;
}

/// <summary>x + f(norm(x)), with one more norm before the head (GPT-2; Xiong et al. 2020).</summary>
public sealed record PreNormResidualConfig : ResidualConfig;

/// <summary>norm(x + f(x)) (Vaswani et al. 2017); the last block's norm is the one before the head.</summary>
public sealed record PostNormResidualConfig : ResidualConfig
{
    /// <inheritdoc/>
    public override bool NormBefore => false;

    /// <inheritdoc/>
    public override bool NormAfter => true;

    /// <inheritdoc/>
    public override bool LastNorm => false;
}

/// <summary>x + norm(f(norm(x))), with one more norm before the head (Ding et al. 2021; Gemma 2).</summary>
public sealed record SandwichResidualConfig : ResidualConfig
{
    /// <inheritdoc/>
    public override bool NormAfter => true;

    /// <inheritdoc/>
    internal override long ActivationsAt(int width) => width;
}

/// <summary>
/// norm(a x + f(x)) with a = (2 L)^(1/4); values, output projections and MLPs start divided by (8 L)^(1/4) (Wang et al. 2022, meant for
/// xavier).
/// </summary>
public sealed record DeepNormResidualConfig : ResidualConfig
{
    /// <summary>a, by which the stream outweighs what is added to it: (2 L)^(1/4).</summary>
    /// <param name="layers">L.</param>
    public static double Alpha(int layers) => Math.Pow(2.0 * layers, 0.25);

    /// <summary>(8 L)^(-1/4).</summary>
    /// <param name="layers">L.</param>
    internal override double InitialScale(int layers) => Math.Pow(8.0 * layers, -0.25);

    /// <inheritdoc/>
    public override bool NormBefore => false;

    /// <inheritdoc/>
    public override bool NormAfter => true;

    /// <inheritdoc/>
    public override bool LastNorm => false;
}

/// <summary>x + a f(x) with a learned number a of each sub-layer, zero at first, and no norms at all (Bachlechner et al. 2020).</summary>
public sealed record ReZeroResidualConfig : ResidualConfig
{
    /// <inheritdoc/>
    public override IEnumerable<ParameterSpec> Parameters() => [new("alpha", [1], new LayerDraw())];

    /// <inheritdoc/>
    public override bool NormBefore => false;

    /// <inheritdoc/>
    public override bool LastNorm => false;
}

/// <summary>
/// Several streams with learned weights for reading, mixing and writing; pre_norm at first (Zhu et al. 2024, the static form).
/// </summary>
public sealed record HyperConnectionsResidualConfig : ResidualConfig, IValidated
{
    private const int MostStreams = 256;

    /// <summary>n, the number of streams; each takes a stream's memory in training.</summary>
    public int Streams { get; init; } = 4;

    /// <inheritdoc/>
    internal override int StreamCount => Streams;

    /// <summary>How a sub-layer reads the streams, how they are mixed, and how its output is added to them.</summary>
    public override IEnumerable<ParameterSpec> Parameters() =>
    [
        new("input", [Streams], new LayerDraw()),
        new("mixing", [(long)Streams * Streams], new LayerDraw()),
        new("output", [Streams], new LayerDraw()),
    ];

    /// <inheritdoc/>
    internal override long ActivationsAt(int width) => (Streams + 1L) * width;

    /// <inheritdoc/>
    public IEnumerable<ConfigProblem> Problems()
    {
        if (Streams is < 1 or > MostStreams) yield return new("streams", $"found {Streams}, expected 1 to {MostStreams}");
    }
}
