namespace Transformer.Configuration;

// T tokens of a segment · M tokens of memory · C width · H heads · D head width

/// <summary>
/// Transformer-XL's attention (Dai et al. 2019, arXiv:1901.02860): a segment reads, beside its own tokens, what the same block read of the
/// M tokens before it, and scores depend on content and on the distance of query and key. It brings its own positions.
/// </summary>
public sealed record TransformerXlAttentionConfig : HeadedAttentionConfig
{
    private const int LongestMemory = 1 << 20;

    /// <summary>M, how many tokens before the segment each block remembers.</summary>
    public required int MemoryLength { get; init; }

    /// <summary>
    /// Whether every query sees M keys, its own included, wherever it stands in its segment; else it sees the whole memory and its segment
    /// up to itself.
    /// </summary>
    public bool SameLength { get; init; }

    /// <summary>The distance from which on all keys count as equally far; each distance by itself where absent.</summary>
    public int? ClampLength { get; init; }

    /// <summary>The most keys that a query of a segment sees.</summary>
    /// <param name="segment">T, the length of a segment.</param>
    public int KeysAt(int segment) => SameLength ? MemoryLength : MemoryLength + segment;

    /// <inheritdoc/>
    public override bool CarriesMemory => true;

    /// <inheritdoc/>
    public override string? ObstacleTo(PositionConfig position) => position is NoPositionConfig
        ? null
        : "transformer_xl compares queries with distances by itself, across segments; take none";

    /// <inheritdoc/>
    public override IEnumerable<ConfigProblem> ProblemsAt(int width, PositionConfig position)
    {
        foreach (var problem in base.ProblemsAt(width, position)) yield return problem;
        if (width % 2 != 0) yield return new("kind", $"distances are pairs of a sine and a cosine, so the width must be even, not {width}");
        if (MemoryLength is < 1 or > LongestMemory)
            yield return new("memory_length", $"found {MemoryLength}, expected 1 to {LongestMemory}");
        else if ((long)MemoryLength * Heads * HeadWidthAt(width) > int.MaxValue)
            yield return new("memory_length", $"found {MemoryLength}, too long for heads of {(long)Heads * HeadWidthAt(width)} together");
        if (ClampLength is < 1 or > LongestMemory)
            yield return new("clamp_length", $"found {ClampLength}, expected 1 to {LongestMemory}");
    }

    /// <inheritdoc/>
    public override IEnumerable<ParameterSpec> Parameters(int width, bool mixesValues = false)
    {
        var inner = (long)Heads * HeadWidthAt(width);
        return
        [
            new("u_bias", [inner], new ConstantDraw(0)) { SplitDimension = 0 },
            new("v_bias", [inner], new ConstantDraw(0)) { SplitDimension = 0 },
            .. ParameterSpec.ColumnParallel("q_proj", inner, width),
            .. ParameterSpec.ColumnParallel("k_proj", inner, width),
            .. ParameterSpec.ColumnParallel("v_proj", inner, width, role: MatrixRole.Value),
            .. ParameterSpec.ColumnParallel("r_proj", inner, width),
            .. ParameterSpec.RowParallel("o_proj", width, inner),
        ];
    }

    // The T x S scores of content, distance and both together, and the weights, are kept; S is M and half a segment in the mean.
    /// <inheritdoc/>
    public override MixerCost CostAt(int width, bool mixesValues)
    {
        long inner = (long)Heads * HeadWidthAt(width);
        return new(
            tokens => 18.0 * Keys(tokens) * inner,                           // q k^T, q r^T and the sum over v, three times
            2 * width + 5 * inner + 3L * Heads * MemoryLength,
            4 * inner + 4L * Heads * MemoryLength,
            tokens => 2 * inner * (MemoryLength + tokens) + 1);
    }

    private double Keys(long tokens) => SameLength ? MemoryLength : MemoryLength + tokens / 2.0;
}
