namespace Transformer.Configuration;

// T tokens · C width · H heads · D head width · E value width · d_c latent width · d_r rotary width

/// <summary>
/// Multi-head latent attention (DeepSeek-V2, section 2.1): the keys and values of all heads are computed from one short vector a token,
/// which is all that generation keeps, beside a rotated key that the heads share.
/// </summary>
public sealed record LatentAttentionConfig : HeadedAttentionConfig
{
    /// <summary>Added to the mean square where latent vectors are normalised, whatever the model's norms have.</summary>
    internal const double NormEpsilon = 1e-6;

    /// <summary>
    /// d_c, the width of the latent vector from which keys and values are computed; kv_lora_rank in DeepSeek's models, which have four
    /// times the width of a head.
    /// </summary>
    public required int KvRank { get; init; }

    /// <summary>
    /// The width of a latent vector from which queries are computed; q_lora_rank in DeepSeek's models. Where absent, queries are computed
    /// from the stream itself.
    /// </summary>
    public int? QueryRank { get; init; }

    /// <summary>
    /// d_r, how many components of a query and a key are rotated, in addition to head_width; the rotated part of a key is one for all
    /// heads. Half of head_width where absent; set it to 0 without rotary positions. qk_rope_head_dim in DeepSeek's models.
    /// </summary>
    public int? RopeWidth { get; init; }

    /// <summary>E, the width of a head's values; head_width where absent. v_head_dim in DeepSeek's models.</summary>
    public int? ValueWidth { get; init; }

    /// <summary>Whether the projections to latent vectors and the one back into the stream have biases.</summary>
    public bool Bias { get; init; }

    /// <summary>E for a model of this width.</summary>
    public int ValueWidthAt(int width) => ValueWidth ?? HeadWidthAt(width);

    /// <summary>d_r: the rotated part of a query and a key, not the whole head.</summary>
    public override int RotaryWidthAt(int width) => RopeWidth ?? HeadWidthAt(width) / 2;

    /// <inheritdoc/>
    internal override string RotaryWidthKey => "rope_width";

    /// <summary>D + d_r.</summary>
    internal override int KeyWidthAt(int width) => HeadWidthAt(width) + RotaryWidthAt(width);

    /// <inheritdoc/>
    public override string? ObstacleTo(PositionConfig position) => position switch
    {
        NoPositionConfig or LearnedPositionConfig or SinusoidalPositionConfig => null,
        RotaryPositionConfig when RopeWidth == 0 =>
            "rope rotates rope_width components of a query, which are none here; give rope_width, or take none, learned or sinusoidal",
        RotaryPositionConfig => null,
        _ => "latent attention adds nothing to its scores; take none, learned, sinusoidal or rope",
    };

    /// <inheritdoc/>
    public override IEnumerable<ConfigProblem> ProblemsAt(int width, PositionConfig position)
    {
        foreach (var problem in base.ProblemsAt(width, position)) yield return problem;
        if (Heads is < 1 or > MostHeads) yield break;
        if (KvRank is < 1 or > WidestHead) yield return new("kv_rank", $"found {KvRank}, expected 1 to {WidestHead}");
        if (QueryRank is < 1 or > WidestHead) yield return new("query_rank", $"found {QueryRank}, expected 1 to {WidestHead}");
        if (ValueWidth is < 1 or > WidestHead) yield return new("value_width", $"found {ValueWidth}, expected 1 to {WidestHead}");
        if (RopeWidth is < 0 or > WidestHead) yield return new("rope_width", $"found {RopeWidth}, expected 0 to {WidestHead}");
        else if (position is not RotaryPositionConfig && RotaryWidthAt(width) > 0)
        {
            yield return new(
                "rope_width", $"position {{kind: {Kind.NameOf(position)}}} rotates nothing; set rope_width to 0, or take position rope");
        }
        else if (position is RotaryPositionConfig && RopeWidth is null && RotaryWidthAt(width) == 0)
            yield return new("rope_width", "missing; half of head_width 1 is none, so give one");
        if (RotaryWidthAt(width) > 0)
            foreach (var problem in RotatedCacheProblems(position, "latent attention")) yield return problem;
    }

    /// <inheritdoc/>
    public override IEnumerable<ParameterSpec> Parameters(int width, bool mixesValues = false)
    {
        long heads = Heads, headWidth = HeadWidthAt(width), rope = RotaryWidthAt(width), values = ValueWidthAt(width);
        return
        [
            .. QueryRank is { } rank
                ? [.. ToLatent("q_a_proj", rank), LatentNorm("q_a_layernorm.weight", rank), .. Queries("q_b_proj", rank)]
                : Queries("q_proj", width),
            .. ToLatent("kv_a_proj_with_mqa", KvRank + rope),
            LatentNorm("kv_a_layernorm.weight", KvRank),
            .. ParameterSpec.ColumnParallel("kv_b_proj", heads * (headWidth + values), KvRank, role: MatrixRole.Value),
            .. ParameterSpec.RowParallel("o_proj", width, heads * values, Bias),
        ];

        IEnumerable<ParameterSpec> Queries(string module, long inputs) =>
            ParameterSpec.ColumnParallel(module, heads * (headWidth + rope), inputs);

        // Latent vectors are shared by all heads, so that every rank has these and a part of their gradient, that of its heads.
        static ParameterSpec LatentNorm(string name, long length) => ParameterSpec.Ones(name, length) with { IsPartial = true };

        IEnumerable<ParameterSpec> ToLatent(string module, long outputs)
        {
            yield return ParameterSpec.Matrix($"{module}.weight", outputs, width, MatrixRole.Hidden) with { IsPartial = true };
            if (Bias) yield return new($"{module}.bias", [outputs], new ConstantDraw(0)) { IsPartial = true };
        }
    }

    /// <inheritdoc/>
    public override MixerCost CostAt(int width, bool mixesValues)
    {
        long heads = Heads, key = KeyWidthAt(width), value = ValueWidthAt(width), padded = Math.Max(key, value);
        long state = KvRank + RotaryWidthAt(width);
        return new(
            tokens => 3.0 * tokens * heads * (key + value),                      // q k^T and the sum over v, three times, over T / 2 keys
            2 * width + 2 * (QueryRank ?? 0) + 2 * state + heads * (4 * padded + value + 1),    // latent vectors, normed; q, k, v, z
            heads * (4 * padded + key + value),
            tokens => tokens * state);
    }
}
