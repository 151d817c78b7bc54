namespace Transformer.Configuration;

// T tokens · C width · H heads · G key/value heads · D head width

/// <summary>
/// Forgetting attention (Lin et al. 2025, FoX): softmax attention whose scores fall by what a learned gate forgets between key and query.
/// Like ALiBi, but each token and head says how fast. It needs no positions; the paper trains without.
/// </summary>
public sealed record ForgettingAttentionConfig : HeadedAttentionConfig
{
    /// <summary>Added to the mean square where queries and keys are normalised, whatever the model's norms have.</summary>
    internal const double QueryKeyNormEpsilon = 1e-5;

    /// <summary>G, the number of key/value heads; query head h reads key/value head h * G / H. As many as heads where absent.</summary>
    public int? KvHeads { get; init; }

    /// <summary>
    /// Whether queries and keys are normalised per head (RMSNorm with a weight a component); part of the paper's Pro form.
    /// </summary>
    public bool QueryKeyNorm { get; init; }

    /// <summary>
    /// Whether keys and values are mixed with those of the token before, by a learned share a head; part of the paper's Pro form.
    /// </summary>
    public bool KeyValueShift { get; init; }

    /// <summary>
    /// Whether the output is normalised per head and then gated by the sigmoid of a projection; part of the paper's Pro form.
    /// </summary>
    public bool OutputGate { get; init; }

    /// <summary>G.</summary>
    internal int KeyValueHeads => KvHeads ?? Heads;

    /// <inheritdoc/>
    public override string? ObstacleTo(PositionConfig position) => position is ScoreBiasPositionConfig
        ? "forgetting attention computes what distance takes from a score; take none, learned, sinusoidal or rope"
        : null;

    /// <inheritdoc/>
    public override IEnumerable<ConfigProblem> ProblemsAt(int width, PositionConfig position)
    {
        foreach (var problem in base.ProblemsAt(width, position)) yield return problem;
        if (Heads < 1) yield break;
        if (KvHeads is < 1) yield return new("kv_heads", $"found {KvHeads}, expected 1 or more");
        else if (KvHeads is { } kv && Heads % kv != 0) yield return new("kv_heads", $"{kv} key/value heads do not divide {Heads} heads");
        foreach (var problem in RotatedCacheProblems(position, "forgetting attention")) yield return problem;
    }

    /// <inheritdoc/>
    public override IEnumerable<ParameterSpec> Parameters(int width, bool mixesValues = false)
    {
        long queries = (long)Heads * HeadWidthAt(width), keys = (long)KeyValueHeads * HeadWidthAt(width);
        return
        [
            .. ParameterSpec.ColumnParallel("q_proj", queries, width),
            .. ParameterSpec.ColumnParallel("k_proj", keys, width),
            .. ParameterSpec.ColumnParallel("v_proj", keys, width, role: MatrixRole.Value),
            .. ParameterSpec.ColumnParallel("fgate_proj", Heads, width, hasBias: true),
            .. KeyValueShift ? ParameterSpec.ColumnParallel("k_shift_proj", KeyValueHeads, width) : [],
            .. KeyValueShift ? ParameterSpec.ColumnParallel("v_shift_proj", KeyValueHeads, width) : [],
            .. QueryKeyNorm ? [HeadNorms("q_norm.weight", queries), HeadNorms("k_norm.weight", keys)] : (ParameterSpec[])[],
            .. OutputGate ? [.. ParameterSpec.ColumnParallel("ogate_proj", queries, width), HeadNorms("o_norm.weight", queries)]
                : (ParameterSpec[])[],
            .. ParameterSpec.RowParallel("o_proj", width, queries),
        ];

        static ParameterSpec HeadNorms(string name, long length) => ParameterSpec.Ones(name, length) with { SplitDimension = 0 };
    }

    /// <inheritdoc/>
    public override MixerCost CostAt(int width, bool mixesValues)
    {
        long queries = (long)Heads * HeadWidthAt(width), keys = (long)KeyValueHeads * HeadWidthAt(width), padded = queries + 2 * Heads;
        return new(
            tokens => 6.0 * tokens * queries,                                    // q k^T and the sum over v, three times, over T / 2 keys
            2 * width + 3 * queries + 4 * keys + 4 * padded + 5 * Heads,         // the kernel takes q, k, v and gives z, each padded
            4 * padded + queries + 2 * keys,
            tokens => tokens * (2 * keys + Heads) + (KeyValueShift ? 2 * keys : 0));
    }

    /// <inheritdoc/>
    internal override IEnumerable<ConfigProblem> SplitProblems(int ranks)
    {
        if (Heads % ranks != 0) return base.SplitProblems(ranks);
        return KeyValueHeads % ranks != 0
            ? [new("kv_heads", TensorParallelShare.Indivisible(KeyValueHeads, "key/value heads", ranks))]
            : [];
    }

    /// <inheritdoc/>
    internal override AttentionConfig ShareOf(int rank, int ranks, int width) =>
        (ForgettingAttentionConfig)base.ShareOf(rank, ranks, width) with { KvHeads = KvHeads / ranks };
}
