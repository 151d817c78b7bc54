namespace Transformer.Configuration;

// T tokens · C width · H heads · G key/value heads · D head width

/// <summary>Causal softmax attention: multi-head, grouped-query (kv_heads below heads) or multi-query (kv_heads 1).</summary>
public sealed record SoftmaxAttentionConfig : HeadedAttentionConfig
{
    /// <summary>Added to the mean square where queries and keys are normalised.</summary>
    internal const double QueryKeyNormEpsilon = 1e-5;

    /// <summary>G, the number of key/value heads; query head h reads key/value head h * G / H. As many as heads where absent.</summary>
    public int? KvHeads { get; init; }

    /// <summary>Whether the four projections have biases.</summary>
    public bool Bias { get; init; }

    /// <summary>The probability with which attention weights are dropped in training.</summary>
    public double Dropout { get; init; }

    /// <summary>
    /// Whether queries and keys are normalised per head (RMSNorm) before the rotation, which bounds the scores (Henry et al. 2020).
    /// </summary>
    public bool QueryKeyNorm { get; init; }

    /// <summary>c in c * tanh(score / c), which bounds the scaled scores softly (Gemma 2); none where absent.</summary>
    public double? LogitSoftCap { get; init; }

    /// <summary>
    /// Whether the values of every block after the first that has this are mixed with that one's: l1 v_1 + l2 v, the two numbers learned
    /// (Zhou et al. 2024); both start at 1/2.
    /// </summary>
    public bool ValueResidual { get; init; }

    /// <summary>
    /// Which code computes it: fused kernels, or the paper's equation as SoftmaxAttention.Explicit writes it, so that a change to that
    /// method trains and generates. The CPU's kernels and other formats refuse explicit.
    /// </summary>
    public SoftmaxKernel Kernel { get; init; }

    /// <summary>Which earlier tokens a query sees.</summary>
    public WindowConfig Window { get; init; } = new FullWindowConfig();

    /// <inheritdoc/>
    internal override bool SeparatesDocuments => Window is FullWindowConfig;

    /// <inheritdoc/>
    public override IEnumerable<ConfigProblem> ProblemsAt(int width, PositionConfig position)
    {
        foreach (var problem in base.ProblemsAt(width, position)) yield return problem;
        if (Heads < 1) yield break;
        if (KvHeads is < 1) yield return new("kv_heads", $"found {KvHeads}, expected 1 or more");
        else if (KvHeads is { } kv && Heads % kv != 0) yield return new("kv_heads", $"{kv} key/value heads do not divide {Heads} heads");
        if (Window is not FullWindowConfig && position is RotaryPositionConfig { Scaling: DynamicNtkScalingConfig })
        {
            yield return new("window", "dynamic_ntk rotates all keys of the cache anew in each pass, and a window keeps rotated ones; " +
                "take another scaling or window {kind: full}");
        }
        if (Dropout is < 0 or >= 1) yield return new("dropout", $"found {Dropout}, expected 0 or more and less than 1");
        if (LogitSoftCap is <= 0) yield return new("logit_soft_cap", $"found {LogitSoftCap}, expected more than 0");
    }

    /// <inheritdoc/>
    public override IEnumerable<ParameterSpec> Parameters(int width, bool mixesValues = false)
    {
        var (queries, keys) = Widths(width);
        return
        [
            .. mixesValues ? [new ParameterSpec("value_mix", [2], new LayerDraw()) { IsPartial = true }] : (ParameterSpec[])[],
            .. ParameterSpec.ColumnParallel("q_proj", queries, width, Bias),
            .. ParameterSpec.ColumnParallel("k_proj", keys, width, Bias),
            .. ParameterSpec.ColumnParallel("v_proj", keys, width, Bias, MatrixRole.Value),
            .. ParameterSpec.RowParallel("o_proj", width, queries, Bias),
            .. QueryKeyNorm ? [HeadNorm("q_norm.weight"), HeadNorm("k_norm.weight")] : (ParameterSpec[])[],
            .. Window.Parameters(Heads, width).Select(parameter => parameter.Within("window")),
        ];

        // Shared by all heads.
        ParameterSpec HeadNorm(string name) => ParameterSpec.Ones(name, HeadWidthAt(width)) with { IsPartial = true };
    }

    /// <inheritdoc/>
    public override MixerCost CostAt(int width, bool mixesValues)
    {
        var (queries, keys) = Widths(width);
        return new(
            tokens => 12.0 * KeysSeen(tokens) * queries,                                      // q k^T and the sum over v, three times
            2 * width + 2 * queries + (mixesValues ? 3 : 2) * keys + Heads * (Window is FullWindowConfig ? 1 : 2),
            2 * queries + 2 * keys,
            tokens => 2 * keys * Window.KeysAt(tokens - 1));
    }

    /// <inheritdoc/>
    internal override IEnumerable<ConfigProblem> SplitObstacles()
    {
        if (Dropout > 0)
        {
            yield return new(
                "dropout",
                $"found {Dropout}, but under tensor_parallel all ranks draw the same numbers, " +
                "and their heads would drop the same weights; " +
                "take 0 (model.dropout may stay), or another strategy");
        }
    }

    /// <inheritdoc/>
    internal override IEnumerable<ConfigProblem> SplitProblems(int ranks)
    {
        if (Heads % ranks != 0) return base.SplitProblems(ranks);
        return KvHeads is { } shared && shared % ranks != 0
            ? [new("kv_heads", TensorParallelShare.Indivisible(shared, "key/value heads", ranks))]
            : [];
    }

    /// <inheritdoc/>
    internal override AttentionConfig ShareOf(int rank, int ranks, int width) =>
        (SoftmaxAttentionConfig)base.ShareOf(rank, ranks, width) with { KvHeads = KvHeads / ranks, Window = Window.ShareOf(ranks) };

    // Of all query heads together, and of all key/value heads.
    private (long Queries, long Keys) Widths(int width)
    {
        long headWidth = HeadWidthAt(width);
        return (Heads * headWidth, (KvHeads ?? Heads) * headWidth);
    }

    // How many keys a token of T sees in the mean, its own counted half: T / 2 without a window. Learned windows count as if they were at
    // their maximum.
    private double KeysSeen(long tokens)
    {
        var sum = 0.0;
        for (long t = 0; t < tokens; t++) sum += Math.Min(t + 0.5, Window.KeysAt(t));
        return sum / tokens;
    }
}
