using System.Text.Json.Serialization;

namespace Transformer.Configuration;

/// <summary>How a block moves information between positions.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "kind")]
[JsonDerivedType(typeof(SoftmaxAttentionConfig), "softmax")]
[JsonDerivedType(typeof(LinearAttentionConfig), "linear")]
[JsonDerivedType(typeof(ConvolutionConfig), "convolution")]
public abstract record AttentionConfig
{
    /// <summary>Why the mixer cannot use these positions; null where it can. Beside mixers that can, it goes without.</summary>
    public virtual string? ObstacleTo(PositionConfig position) => null;

    /// <summary>What is wrong with the record inside a model of this width and with these positions; paths are relative to the record.</summary>
    public abstract IEnumerable<ConfigProblem> ProblemsAt(int width, PositionConfig position);
}

/// <summary>Attention in several heads, each with queries, keys and values of its own.</summary>
public abstract record HeadedAttentionConfig : AttentionConfig
{
    /// <summary>H, the number of query heads.</summary>
    public required int Heads { get; init; }

    /// <summary>D, the width of a head; width / heads where absent.</summary>
    public int? HeadWidth { get; init; }

    /// <summary>Which of how many equal parts of a mixer's heads these are: the first of one, unless ranks have split them.</summary>
    internal (int Number, int Count) Part { get; init; } = (0, 1);

    /// <summary>D for a model of this width.</summary>
    public int HeadWidthAt(int width) => HeadWidth ?? width / Math.Max(1, Heads);

    /// <inheritdoc/>
    public override IEnumerable<ConfigProblem> ProblemsAt(int width, PositionConfig position)
    {
        if (Heads < 1)
        {
            yield return new("heads", $"found {Heads}, expected 1 or more");
            yield break;
        }
        if (HeadWidth is null && width > 0 && width % Heads != 0)
        {
            var divisors = Enumerable.Range(1, width).Where(n => width % n == 0).ToArray();
            yield return new("heads", $"{Heads} heads do not divide width {width}. Take {string.Join(", ", divisors[..^1])} or {divisors[^1]}, or set head_width.");
        }
        if (HeadWidth is < 1) yield return new("head_width", $"found {HeadWidth}, expected 1 or more");
        if (position is RotaryPositionConfig && ObstacleTo(position) is null && HeadWidthAt(width) % 2 != 0)
            yield return new("head_width", $"rotary positions turn pairs, so a head needs an even width, not {HeadWidthAt(width)}");
        if (position is RotaryPositionConfig { Scaling: NtkScalingConfig or DynamicNtkScalingConfig } && HeadWidthAt(width) == 2)
            yield return new("head_width", "NTK scaling leaves the first pair of a head as it is, and a head of width 2 has no other");
    }
}

/// <summary>Causal softmax attention: multi-head, grouped-query (kv_heads below heads) or multi-query (kv_heads 1).</summary>
public sealed record SoftmaxAttentionConfig : HeadedAttentionConfig
{
    /// <summary>G, the number of key/value heads; query head h reads key/value head h * G / H. As many as heads where absent.</summary>
    public int? KvHeads { get; init; }

    /// <summary>Whether the four projections have biases.</summary>
    public bool Bias { get; init; }

    /// <summary>The probability with which attention weights are dropped in training.</summary>
    public double Dropout { get; init; }

    /// <summary>Whether queries and keys are normalised per head (RMSNorm) before the rotation, which bounds the scores (Henry et al. 2020).</summary>
    public bool QueryKeyNorm { get; init; }

    /// <summary>c in c * tanh(score / c), which bounds the scaled scores softly (Gemma 2); none where absent.</summary>
    public double? LogitSoftCap { get; init; }

    /// <summary>
    /// Whether the values of every block after the first that has this are mixed with that one's: l1 v_1 + l2 v, the two numbers learned
    /// (Zhou et al. 2024); both start at 1/2.
    /// </summary>
    public bool ValueResidual { get; init; }

    /// <summary>Which earlier tokens a query sees.</summary>
    public WindowConfig Window { get; init; } = new FullWindowConfig();

    /// <inheritdoc/>
    public override IEnumerable<ConfigProblem> ProblemsAt(int width, PositionConfig position)
    {
        foreach (var problem in base.ProblemsAt(width, position)) yield return problem;
        if (Heads < 1) yield break;
        if (KvHeads is < 1) yield return new("kv_heads", $"found {KvHeads}, expected 1 or more");
        else if (KvHeads is { } kv && Heads % kv != 0) yield return new("kv_heads", $"{kv} key/value heads do not divide {Heads} heads");
        if (Window is not FullWindowConfig && position is RotaryPositionConfig { Scaling: DynamicNtkScalingConfig })
            yield return new("window", "dynamic_ntk turns all keys of the cache anew in each pass, and a window keeps turned ones; take another scaling or window {kind: full}");
        if (Dropout is < 0 or >= 1) yield return new("dropout", $"found {Dropout}, expected 0 or more and less than 1");
        if (LogitSoftCap is <= 0) yield return new("logit_soft_cap", $"found {LogitSoftCap}, expected more than 0");
    }
}

/// <summary>
/// Linear attention: a matrix a head, written by every token and read by its query, in place of the T x T scores. Time grows with T, the state of
/// generation does not grow at all. Position signals that work through scores have nothing to work on here.
/// </summary>
public sealed record LinearAttentionConfig : HeadedAttentionConfig
{
    /// <summary>The rank of the projection from which rule gla computes a decay a component (Yang et al. 2023).</summary>
    internal const int GateRank = 16;

    private const int DefaultConvolutionWidth = 4;

    /// <summary>How a token changes the matrix.</summary>
    public LinearRule Rule { get; init; } = LinearRule.GatedDelta;

    /// <summary>E, the width of a head's values; head_width where absent.</summary>
    public int? ValueWidth { get; init; }

    /// <summary>For dpfp: how many shifted products make the features, whose width is 2 x nu x head_width; 1 where absent.</summary>
    public int? Nu { get; init; }

    /// <summary>
    /// For scalar_gla, delta and gated_delta: how many tokens the short convolution of queries, keys and values sees, its own included; 4 where absent,
    /// 0 for none.
    /// </summary>
    public int? ConvolutionWidth { get; init; }

    /// <summary>For all rules with a norm behind the matrix: whether silu of a projection gates the output. Where absent, all of them but delta have it.</summary>
    public bool? OutputGate { get; init; }

    /// <summary>How many tokens are worked on at once where the text is known; a power of two. It changes the speed only.</summary>
    public int ChunkLength { get; init; } = 32;

    /// <summary>E for a model of this width.</summary>
    public int ValueWidthAt(int width) => ValueWidth ?? HeadWidthAt(width);

    /// <summary>F, the width of a head's features, for a model of this width.</summary>
    public int FeatureWidthAt(int width) => (Rule, HeadWidthAt(width)) switch
    {
        (LinearRule.Dpfp, var head) => 2 * (Nu ?? 1) * head,
        (LinearRule.Taylor, var head) => 1 + head + head * head,
        (_, var head) => head,
    };

    /// <summary>W, the tokens that the short convolution sees; 0 where there is none.</summary>
    internal int Convolution => IsConvolvable ? ConvolutionWidth ?? DefaultConvolutionWidth : 0;

    /// <summary>Whether silu of a projection gates the output.</summary>
    internal bool IsOutputGated => !IsNormalised && (OutputGate ?? Rule != LinearRule.Delta);

    /// <summary>Whether the output is a mean of the values, weighted by positive features, and so needs no norm.</summary>
    internal bool IsNormalised => Rule is LinearRule.Elu or LinearRule.Dpfp or LinearRule.Taylor;

    /// <summary>Whether features are vectors like those they are made of, so that rotary positions can turn them.</summary>
    internal bool IsTurnable => Rule is not (LinearRule.Dpfp or LinearRule.Taylor);

    /// <summary>Whether a token replaces a part, beta, of what its key held.</summary>
    internal bool HasBeta => Rule is LinearRule.Delta or LinearRule.GatedDelta;

    /// <summary>Whether the decay comes from a step in time that is computed from the token.</summary>
    internal bool HasStep => Rule is LinearRule.ScalarGla or LinearRule.GatedDelta;

    /// <summary>Whether the rule has a short convolution and silu behind its projections.</summary>
    internal bool IsConvolvable => Rule is LinearRule.ScalarGla or LinearRule.Delta or LinearRule.GatedDelta;

    /// <inheritdoc/>
    public override string? ObstacleTo(PositionConfig position) => position switch
    {
        NoPositionConfig or LearnedPositionConfig or SinusoidalPositionConfig => null,
        RotaryPositionConfig when !IsTurnable =>
            $"rope turns queries and keys, but the features of rule {Rule.ToString().ToLowerInvariant()} are no vectors to turn; take none, learned or sinusoidal",
        RotaryPositionConfig => null,
        _ => "these positions change scores, and linear attention has none; take none, learned, sinusoidal or rope",
    };

    /// <inheritdoc/>
    public override IEnumerable<ConfigProblem> ProblemsAt(int width, PositionConfig position)
    {
        foreach (var problem in base.ProblemsAt(width, position)) yield return problem;
        if (ValueWidth is < 1) yield return new("value_width", $"found {ValueWidth}, expected 1 or more");
        if (Nu is not null && Rule != LinearRule.Dpfp) yield return new("nu", "only rule dpfp has it; leave it out");
        else if (Nu is < 1 || Nu >= 2 * HeadWidthAt(width)) yield return new("nu", $"found {Nu}, expected 1 to {2 * HeadWidthAt(width) - 1}, one less than twice the head's width");
        if (ConvolutionWidth is not null && !IsConvolvable)
            yield return new("convolution_width", "only the rules scalar_gla, delta and gated_delta have it; leave it out");
        else if (ConvolutionWidth is < 0 or 1) yield return new("convolution_width", $"found {ConvolutionWidth}, expected 2 or more, or 0 for none");
        if (OutputGate is not null && IsNormalised) yield return new("output_gate", "the rules elu, dpfp and taylor have none; leave it out");
        if (ChunkLength < 1 || !int.IsPow2(ChunkLength)) yield return new("chunk_length", $"found {ChunkLength}, expected a power of two");
    }
}

/// <summary>
/// A causal depthwise convolution alone: each component of a token becomes a learned weighted sum of that component in the last tokens. It cannot look
/// further, which makes it the plainest partner of a layer that can (Fu et al. 2023; Arora et al. 2023).
/// </summary>
public sealed record ConvolutionConfig : AttentionConfig
{
    /// <summary>W, how many tokens it sees, its own included.</summary>
    public int Tokens { get; init; } = 4;

    /// <inheritdoc/>
    public override string? ObstacleTo(PositionConfig position) => position is RotaryPositionConfig or ScoreBiasPositionConfig
        ? "these positions turn queries and keys or change scores, and a convolution has neither; take none, learned or sinusoidal"
        : null;

    /// <inheritdoc/>
    public override IEnumerable<ConfigProblem> ProblemsAt(int width, PositionConfig position)
    {
        if (Tokens < 2) yield return new("tokens", $"found {Tokens}, expected 2 or more; with one no token would see another");
    }
}
