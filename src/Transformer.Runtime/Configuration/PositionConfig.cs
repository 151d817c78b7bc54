using System.Text.Json.Serialization;

namespace Transformer.Configuration;

// T tokens · C width · H heads · D head width

/// <summary>How the model knows the order of the tokens.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "kind")]
[JsonDerivedType(typeof(NoPositionConfig), "none")]
[JsonDerivedType(typeof(LearnedPositionConfig), "learned")]
[JsonDerivedType(typeof(SinusoidalPositionConfig), "sinusoidal")]
[JsonDerivedType(typeof(RotaryPositionConfig), "rope")]
[JsonDerivedType(typeof(AlibiPositionConfig), "alibi")]
[JsonDerivedType(typeof(T5PositionConfig), "t5")]
[JsonDerivedType(typeof(RelativePositionConfig), "relative")]
public abstract record PositionConfig
{
    /// <summary>Whether positions are vectors that are added to those of the tokens; else the mixers use them, or nobody.</summary>
    internal virtual bool IsAddedToEmbedding => false;

    /// <summary>Whether a token needs its own position only, and not how far it is from others in its row.</summary>
    internal virtual bool SeparatesDocuments => true;

    /// <summary>What positions learn, named relative to the decoder.</summary>
    /// <param name="model">The model that they are the positions of.</param>
    public virtual IEnumerable<ParameterSpec> Parameters(ModelConfig model) => [];

    /// <summary>The numbers that a token's vectors are multiplied with because of them, all blocks together.</summary>
    internal virtual long MatrixParameters(ModelConfig model) => 0;
}

/// <summary>No position signal: only the causal mask tells the order (Haviv et al. 2022).</summary>
public sealed record NoPositionConfig : PositionConfig;

/// <summary>A learned vector a position, added to the token embedding (GPT-2).</summary>
public sealed record LearnedPositionConfig : PositionConfig
{
    /// <inheritdoc/>
    internal override bool IsAddedToEmbedding => true;

    /// <inheritdoc/>
    public override IEnumerable<ParameterSpec> Parameters(ModelConfig model) =>
        [ParameterSpec.Matrix("embed_positions.weight", model.Places, model.Width, MatrixRole.Embedding)];
}

/// <summary>Fixed sines and cosines added to the token embedding (Vaswani et al. 2017).</summary>
public sealed record SinusoidalPositionConfig : PositionConfig
{
    /// <summary>The base of the geometric series of wavelengths.</summary>
    internal const double Base = 10_000;

    /// <inheritdoc/>
    internal override bool IsAddedToEmbedding => true;
}

/// <summary>Queries and keys are rotated by an angle proportional to their position (Su et al. 2021).</summary>
public sealed record RotaryPositionConfig : PositionConfig, IValidated
{
    /// <summary>The base of the geometric series of wavelengths; 10,000 as in the paper.</summary>
    public double Theta { get; init; } = 10_000;

    /// <summary>How wavelengths are stretched for texts longer than those of training; not at all where absent.</summary>
    public RotaryScalingConfig? Scaling { get; init; }

    /// <inheritdoc/>
    internal override bool SeparatesDocuments => Scaling is not DynamicNtkScalingConfig;

    /// <summary>The angle by which pair i rotates from one position to the next: theta^(-2i/D), or what the scaling makes of it.</summary>
    /// <param name="headWidth">D, even.</param>
    /// <param name="length">T, the length of the text; only dynamic NTK asks for it.</param>
    /// <returns>[D/2]</returns>
    public double[] Frequencies(int headWidth, long length) =>
        Scaling?.Frequencies(Theta, headWidth, length) ?? RotaryScalingConfig.Unscaled(Theta, headWidth);

    /// <summary>What cosines and sines are multiplied by: 1 but for YaRN, which sharpens the scores of long texts.</summary>
    public double Amplitude => Scaling?.Amplitude ?? 1;

    /// <inheritdoc/>
    public IEnumerable<ConfigProblem> Problems()
    {
        if (Theta <= 0) yield return new("theta", $"found {Theta}, expected more than 0");
        else if (Theta <= 1 && Scaling is YarnScalingConfig)
            yield return new("theta", $"found {Theta}, expected more than 1: yarn goes by wavelengths that grow");
    }
}

/// <summary>
/// Positions that speak through the scores of softmax attention: a number that depends on the distance of query and key is added to each.
/// </summary>
public abstract record ScoreBiasPositionConfig : PositionConfig
{
    /// <inheritdoc/>
    internal override bool SeparatesDocuments => false;
}

/// <summary>Scores fall with the distance, in each head with a fixed slope of its own (ALiBi, Press et al. 2022).</summary>
public sealed record AlibiPositionConfig : ScoreBiasPositionConfig
{
    /// <summary>
    /// 2^(-8h/H) for h = 1..H where H is a power of two. Else the slopes of the next smaller power P, then every other one of 2P until
    /// there are H, so that the heads that are added lie between those that were there.
    /// </summary>
    public static IEnumerable<double> Slopes(int heads)
    {
        var power = 1 << (int)Math.Log2(heads);
        return Series(power, step: 1).Take(power).Concat(Series(2 * power, step: 2).Take(heads - power));
    }

    private static IEnumerable<double> Series(int heads, int step)
    {
        for (var h = 1; ; h += step) yield return Math.Pow(2, -8.0 * h / heads);
    }
}

/// <summary>
/// A learned number a head and bucket of distances, the buckets growing with the distance (T5, Raffel et al. 2020); one table for all
/// blocks.
/// </summary>
public sealed record T5PositionConfig : ScoreBiasPositionConfig, IValidated
{
    private const int MostBuckets = 1 << 16;

    /// <summary>The number of buckets; the first half holds one distance each. 32 as in T5.</summary>
    public int Buckets { get; init; } = 32;

    /// <summary>The distance from which on all share the last bucket; 128 as in T5.</summary>
    public int MaximumDistance { get; init; } = 128;

    /// <inheritdoc/>
    public override IEnumerable<ParameterSpec> Parameters(ModelConfig model) => model.SoftmaxMixers().FirstOrDefault() is not { } attention
        ? []
        :
        [
            ParameterSpec.Matrix("position_bias.relative_attention_bias.weight", Buckets, attention.Heads, MatrixRole.Embedding)
                with { SplitDimension = 1 },
        ];

    /// <summary>The bucket of a key that stands a distance before its query.</summary>
    public long BucketOf(long distance)
    {
        var exact = Buckets / 2;
        if (distance < exact) return distance;
        var share = Math.Log((double)distance / exact) / Math.Log((double)MaximumDistance / exact);
        return Math.Min(exact + (long)(share * (Buckets - exact)), Buckets - 1);
    }

    /// <inheritdoc/>
    public IEnumerable<ConfigProblem> Problems()
    {
        if (Buckets is < 2 or > MostBuckets) yield return new("buckets", $"found {Buckets}, expected 2 to {MostBuckets}");
        else if (MaximumDistance <= Buckets / 2)
        {
            yield return new(
                "maximum_distance",
                $"found {MaximumDistance}, expected more than {Buckets / 2}, the distances that have a bucket of their own");
        }
    }
}

/// <summary>
/// A learned vector a distance, with which the query is compared beside the key (Shaw et al. 2018, the part of the keys); one table for all
/// heads and blocks.
/// </summary>
public sealed record RelativePositionConfig : ScoreBiasPositionConfig, IValidated
{
    private const int MostDistances = 1 << 20;

    /// <summary>k, the distance from which on all share the last vector; the paper takes 16.</summary>
    public required int Maximum { get; init; }

    // All heads share the table, and each rank's give it a part of its gradient.
    /// <inheritdoc/>
    public override IEnumerable<ParameterSpec> Parameters(ModelConfig model) => model.SoftmaxMixers().FirstOrDefault() is not { } attention
        ? []
        :
        [
            ParameterSpec.Matrix(
                "position_bias.distance_embedding.weight", Maximum + 1L, attention.HeadWidthAt(model.Width), MatrixRole.Embedding)
                with { IsPartial = true },
        ];

    // Every head of every block is compared with the table.
    /// <inheritdoc/>
    internal override long MatrixParameters(ModelConfig model) => Parameters(model).Sum(table => table.Count)
        * model.Blocks().Select(block => block.Mixer).OfType<SoftmaxAttentionConfig>().Sum(attention => (long)attention.Heads);

    /// <inheritdoc/>
    public IEnumerable<ConfigProblem> Problems()
    {
        if (Maximum is < 1 or > MostDistances) yield return new("maximum", $"found {Maximum}, expected 1 to {MostDistances}");
    }
}
