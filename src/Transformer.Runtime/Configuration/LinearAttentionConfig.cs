using System.Numerics;

namespace Transformer.Configuration;

// C width · H heads · D head width · F feature width · E value width · W tokens of a convolution

/// <summary>
/// Linear attention: a matrix a head, written by every token and read by its query, in place of the T x T scores. Time grows with T, the
/// state of generation does not grow at all. Position signals that work through scores have nothing to work on here.
/// </summary>
public sealed record LinearAttentionConfig : HeadedAttentionConfig
{
    private const int LongestFilter = 1 << 12, LongestChunk = 1 << 16;

    /// <summary>The rank of the projection from which rule gla computes a decay a component (Yang et al. 2023).</summary>
    internal const int GateRank = 16;

    /// <summary>What the logarithm of a decay a component is divided by (the same paper).</summary>
    internal const double GateTemperature = 16;

    /// <summary>Added to the sum of the weights by which outputs are divided.</summary>
    internal const double NormaliserEpsilon = 1e-6;

    /// <summary>Added to the square of a vector's length before it is made one.</summary>
    internal const double UnitEpsilon = 1e-6;

    /// <summary>Added to the mean square of the norm behind the matrix.</summary>
    internal const double NormEpsilon = 1e-5;

    private const int DefaultConvolutionWidth = 4;

    /// <summary>How a token changes the matrix.</summary>
    public LinearRule Rule { get; init; } = new GatedDeltaRule();

    /// <summary>E, the width of a head's values; head_width where absent.</summary>
    public int? ValueWidth { get; init; }

    /// <summary>For dpfp: how many shifted products make the features, whose width is 2 x nu x head_width; 1 where absent.</summary>
    public int? Nu { get; init; }

    /// <summary>
    /// For scalar_gla, delta and gated_delta: how many tokens the short convolution of queries, keys and values sees, its own included; 4
    /// where absent, 0 for none.
    /// </summary>
    public int? ConvolutionWidth { get; init; }

    /// <summary>
    /// For all rules with a norm behind the matrix: whether silu of a projection gates the output. Where absent, all of them but delta have
    /// it.
    /// </summary>
    public bool? OutputGate { get; init; }

    /// <summary>
    /// For delta and gated_delta: whether beta goes up to 2 instead of 1, so that what a key holds can change its sign and the matrix can
    /// count modulo two, as parity needs (Grazzi et al. 2024).
    /// </summary>
    public bool NegativeEigenvalues { get; init; }

    /// <summary>How many tokens are worked on at once where the text is known; a power of two. It changes the speed only.</summary>
    public int ChunkLength { get; init; } = 32;

    /// <summary>E for a model of this width.</summary>
    public int ValueWidthAt(int width) => ValueWidth ?? HeadWidthAt(width);

    /// <summary>F, the width of a head's features, for a model of this width.</summary>
    public int FeatureWidthAt(int width) => Rule.FeatureWidth(HeadWidthAt(width), Shifts);

    /// <summary>nu, the shifted products of DPFP's features.</summary>
    internal int Shifts => Nu ?? 1;

    /// <summary>W, the tokens that the short convolution sees; 0 where there is none.</summary>
    internal int Convolution => Rule.HasConvolution ? ConvolutionWidth ?? DefaultConvolutionWidth : 0;

    /// <summary>Whether silu of a projection gates the output.</summary>
    internal bool IsOutputGated => !Rule.IsNormalised && (OutputGate ?? Rule.GatesOutput);

    /// <summary>
    /// Under the delta rule beta is this times a sigmoid. I - beta k k^T, which a token multiplies the matrix by, has the eigenvalue
    /// 1 - beta along a key of length one: 0 to 1, or -1 to 1.
    /// </summary>
    internal int GreatestBeta => NegativeEigenvalues ? 2 : 1;

    /// <inheritdoc/>
    public override string? ObstacleTo(PositionConfig position) => position switch
    {
        NoPositionConfig or LearnedPositionConfig or SinusoidalPositionConfig => null,
        RotaryPositionConfig when !Rule.TakesRotation =>
            $"rope rotates queries and keys, but the features of rule {Rule} are no vectors to rotate; take none, learned or sinusoidal",
        RotaryPositionConfig => null,
        _ => "these positions change scores, and linear attention has none; take none, learned, sinusoidal or rope",
    };

    /// <inheritdoc/>
    public override IEnumerable<ConfigProblem> ProblemsAt(int width, PositionConfig position)
    {
        foreach (var problem in base.ProblemsAt(width, position)) yield return problem;
        if (ValueWidth is < 1 or > WidestHead) yield return new("value_width", $"found {ValueWidth}, expected 1 to {WidestHead}");
        if (Nu is not null && Rule.Features != LinearFeatures.Dpfp)
            yield return new("nu", $"only {LinearRule.Names(rule => rule.Features == LinearFeatures.Dpfp)} has it; leave it out");
        else if (Nu is < 1 || Nu >= 2 * HeadWidthAt(width))
            yield return new("nu", $"found {Nu}, expected 1 to {2 * HeadWidthAt(width) - 1}, one less than twice the head's width");
        if (ConvolutionWidth is not null && !Rule.HasConvolution)
            yield return new("convolution_width", $"only {LinearRule.Names(rule => rule.HasConvolution)} have it; leave it out");
        else if (ConvolutionWidth is < 0 or 1 or > LongestFilter)
            yield return new("convolution_width", $"found {ConvolutionWidth}, expected 2 to {LongestFilter}, or 0 for none");
        if (OutputGate is not null && Rule.IsNormalised)
            yield return new("output_gate", $"{LinearRule.Names(rule => rule.IsNormalised)} have none; leave it out");
        if (NegativeEigenvalues && !Rule.IsDelta)
            yield return new("negative_eigenvalues", $"only {LinearRule.Names(rule => rule.IsDelta)} have it; leave it out");
        if (ChunkLength is < 1 or > LongestChunk || !int.IsPow2(ChunkLength))
            yield return new("chunk_length", $"found {ChunkLength}, expected a power of two of at most {LongestChunk}");
    }

    /// <inheritdoc/>
    public override IEnumerable<ParameterSpec> Parameters(int width, bool mixesValues = false)
    {
        long value = ValueWidthAt(width), keys = (long)Heads * HeadWidthAt(width), values = Heads * value;
        return
        [
            .. Rule.Decay == LinearDecay.Step ? [Head("A_log", new RateDraw()), Head("dt_bias", new StepDraw())] : (ParameterSpec[])[],
            .. ParameterSpec.ColumnParallel("q_proj", keys, width),
            .. ParameterSpec.ColumnParallel("k_proj", keys, width),
            .. ParameterSpec.ColumnParallel("v_proj", values, width, role: MatrixRole.Value),
            .. Convolution > 0 ? [Filter("q", keys), Filter("k", keys), Filter("v", values)] : (ParameterSpec[])[],
            .. Rule.IsDelta ? ParameterSpec.ColumnParallel("b_proj", Heads, width) : [],
            .. Rule.Decay == LinearDecay.Step ? ParameterSpec.ColumnParallel("a_proj", Heads, width) : [],
            .. Rule.Decay == LinearDecay.Component ? ComponentGate(keys, width) : [],
            .. IsOutputGated ? ParameterSpec.ColumnParallel("g_proj", values, width) : [],
            .. Rule.IsNormalised ? [] : (ParameterSpec[])[Shared(ParameterSpec.Ones("o_norm.weight", value))],
            .. ParameterSpec.RowParallel("o_proj", width, values),
        ];

        // By all heads.
        static ParameterSpec Shared(ParameterSpec spec) => spec with { IsPartial = true };

        ParameterSpec Head(string name, ParameterDraw draw) => new(name, [Heads], draw) { SplitDimension = 0 };

        ParameterSpec Filter(string of, long components) =>
            new($"{of}_conv1d.weight", [components, 1, Convolution], new ConvolutionDraw()) { SplitDimension = 0 };
    }

    // A projection of low rank, its first half shared by all heads.
    private static IEnumerable<ParameterSpec> ComponentGate(long keys, int width) =>
    [
        ParameterSpec.Matrix("gk_proj.0.weight", GateRank, width, MatrixRole.Hidden) with { IsPartial = true },
        .. ParameterSpec.ColumnParallel("gk_proj.1", keys, GateRank, hasBias: true),
    ];

    /// <inheritdoc/>
    public override MixerCost CostAt(int width, bool mixesValues)
    {
        long heads = Heads, headWidth = HeadWidthAt(width), features = FeatureWidthAt(width), value = ValueWidthAt(width);
        var convolved = heads * (2 * headWidth + value);
        var (isDelta, hasDecay, isComponent) = (Rule.IsDelta, Rule.Decay != LinearDecay.None, Rule.Decay == LinearDecay.Component);
        var products = isDelta ? 3 : 2;                                           // write and read; the delta rule reads what it replaces
        var state = heads * features * (value + (Rule.IsNormalised ? 1 : 0)) + Math.Max(0, Convolution - 1) * convolved;
        var tokens = ChunkLength;
        var written = heads * (2 * headWidth + 2 * features + value               // q and k before and after they are rotated, v
            + (hasDecay ? 2 * features : 0)                                       // q from the start of a chunk, k to its end
                                                                                  // what is written, replaced; products of pairs
            + (isDelta ? (hasDecay ? 3 : 2) * features + 2 * value + 4 * tokens : 2 * tokens)
            + (isComponent ? 2 * features * (1 + BitOperations.Log2((ulong)tokens)) : 0)         // decays of components, half by half
            + 2 * features * value / tokens + (isDelta && hasDecay ? features * features / tokens : 0));    // the states
        var read = heads * value * (IsOutputGated ? 5 : 2);                       // the output, normalised and gated
        return new(
            _ => 6.0 * products * heads * features * value,
            2 * width + (Convolution > 0 ? 2 : Rule.HasConvolution ? 1 : 0) * convolved + written + read,
            2 * written,                                                          // going forward, until the block is over
            _ => state);
    }
}
