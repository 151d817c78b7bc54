using Transformer.Configuration;
using Transformer.Layers.Norms;
using Transformer.Native;
using static TorchSharp.torch;

namespace Transformer.Layers.Attention;

// B batch · T tokens · S cached tokens · C width · H heads · D head width · E value width · d_c latent width · d_r rotary width

/// <summary>
/// Multi-head latent attention (DeepSeek-V2, arXiv:2405.04434, section 2.1): a token's keys and values are linear maps of one short vector
/// c, and positions enter through a rotated part of queries and keys beside it, whose keys are one for all heads. Only c and the rotated
/// key are kept in generation, which attends to them directly.
/// </summary>
public sealed class LatentAttention : TokenMixer
{
    private readonly int heads, headWidth, ropeWidth, valueWidth, latentWidth;
    private readonly double scale;
    private readonly Linear? q_proj;
    private readonly Linear? q_a_proj;
    private readonly RmsNorm? q_a_layernorm;
    private readonly Linear? q_b_proj;
    private readonly Linear kv_a_proj_with_mqa;
    private readonly RmsNorm kv_a_layernorm;
    private readonly Linear kv_b_proj;
    private readonly Linear o_proj;

    /// <param name="config">Heads and widths.</param>
    /// <param name="width">C, the width of the residual stream.</param>
    /// <param name="scale">What scores are multiplied by; 1 / sqrt(D + d_r) where null.</param>
    public LatentAttention(LatentAttentionConfig config, int width, double? scale = null) : base(nameof(LatentAttention))
    {
        (heads, headWidth, ropeWidth) = (config.Heads, config.HeadWidthAt(width), config.RotaryWidthAt(width));
        (valueWidth, latentWidth) = (config.ValueWidthAt(width), config.KvRank);
        this.scale = scale ?? 1 / Math.Sqrt(headWidth + ropeWidth);
        var queries = heads * (headWidth + ropeWidth);
        if (config.QueryRank is { } rank)
        {
            q_a_proj = new Linear(width, rank, config.Bias);
            q_a_layernorm = LatentNorm(rank);
            q_b_proj = new Linear(rank, queries, hasBias: false);
        }
        else q_proj = new Linear(width, queries, hasBias: false);
        kv_a_proj_with_mqa = new Linear(width, latentWidth + ropeWidth, config.Bias);
        kv_a_layernorm = LatentNorm(latentWidth);
        kv_b_proj = new Linear(latentWidth, heads * (headWidth + valueWidth), hasBias: false);
        o_proj = new Linear(heads * valueWidth, width, config.Bias);
        RegisterComponents();

        static RmsNorm LatentNorm(int width) => new(width, LatentAttentionConfig.NormEpsilon);
    }

    /// <inheritdoc/>
    public override LayerState NewState(int rows, int length, Device device) =>
        new LatentCache(rows, length, latentWidth + ropeWidth, device);

    /// <param name="x">[B, T, C]</param>
    /// <param name="context">Mask and rotation of this pass.</param>
    /// <param name="state">A <see cref="LatentCache"/>, or null for a pass without one.</param>
    /// <returns>[B, T, C]</returns>
    public override Tensor forward(Tensor x, ForwardContext context, LayerState? state)
    {
        var queries = q_proj?.call(x) ?? q_b_proj!.call(Normalise(q_a_layernorm!, q_a_proj!.call(x)));
        var (q, qRotary) = Cut(queries.unflatten(2, [heads, -1]).transpose(1, 2), headWidth);    // [B, H, T, D], [B, H, T, d_r]
        var (c, kRotary) = Cut(kv_a_proj_with_mqa.call(x).unsqueeze(1), latentWidth);             // [B, 1, T, d_c], [B, 1, T, d_r]
        c = Normalise(kv_a_layernorm, c);
        if (ropeWidth > 0 && context.Rotation is { } rotation) (qRotary, kRotary) = (rotation.Apply(qRotary), rotation.Apply(kRotary));

        var latent = cat([c, kRotary], -1);                                                       // [B, 1, T, d_c + d_r]
        var held = (state as LatentCache)?.Append(latent, context);                               // [B, 1, S, d_c + d_r]
        var z = context.Causal
            ? Attend(cat([q, qRotary], -1), c, kRotary)
            : Absorbed(q, qRotary, held!, KeyMaps, ValueMaps, scale, context.Mask);
        return o_proj.call(z.transpose(1, 2).flatten(2));                                         // [B, T, C]
    }

    // As Explicit, by the fused kernels. They take vectors of one width, and padding with zeros changes neither scores nor values.
    private Tensor Attend(Tensor q, Tensor c, Tensor kRotary)
    {
        var (k, v) = Cut(kv_b_proj.call(c.squeeze(1)).unflatten(2, [heads, -1]).transpose(1, 2), headWidth);    // [B, H, T, D], [.. E]
        k = cat([k, kRotary.expand(-1, heads, -1, -1)], -1);                                      // [B, H, T, D + d_r]
        var padded = Math.Max(headWidth + ropeWidth, valueWidth);
        (q, k, v) = (Pad(q), Pad(k), Pad(v));
        var z = CausalAttention.Supports(q)
            ? CausalAttention.Apply(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), rotation: null, scale).transpose(1, 2)
            : SoftmaxAttention.Fused(q, k, v, mask: null, dropout: 0, causal: true, scale);
        return z.narrow(-1, 0, valueWidth);                                                       // [B, H, T, E]

        Tensor Pad(Tensor x) => x.shape[^1] == padded ? x : nn.functional.pad(x, [0, padded - x.shape[^1]]);
    }

    /// <summary>
    /// The paper's equations with the T x S scores in memory: keys and values of every head are computed from the latent vectors.
    /// </summary>
    /// <param name="q">[B, H, T, D]</param>
    /// <param name="qRotary">The rotated part of the queries: [B, H, T, d_r].</param>
    /// <param name="latent">The normalised latent vectors and behind them the rotated keys: [B, 1, S, d_c + d_r].</param>
    /// <param name="keyMaps">W_UK: [H, D, d_c].</param>
    /// <param name="valueMaps">W_UV: [H, E, d_c].</param>
    /// <param name="scale">What scores are multiplied by.</param>
    /// <param name="mask">[B or 1, 1, T, S], true is visible; null where every query sees every key.</param>
    /// <returns>[B, H, T, E]</returns>
    public static Tensor Explicit(
        Tensor q, Tensor qRotary, Tensor latent, Tensor keyMaps, Tensor valueMaps, double scale, Tensor? mask)
    {
        var (c, kRotary) = Cut(latent, keyMaps.shape[2]);                                         // [B, 1, S, d_c], [B, 1, S, d_r]
        var (k, v) = (Product(c, keyMaps.transpose(1, 2)), Product(c, valueMaps.transpose(1, 2)));    // [B, H, S, D], [B, H, S, E]
        k = cat([k, kRotary.expand(-1, k.shape[1], -1, -1)], -1);                                 // [B, H, S, D + d_r]
        return SoftmaxAttention.Explicit(cat([q, qRotary], -1), k, v, scale, mask);
    }

    /// <summary>
    /// The same without keys and values: q^T W_UK c is a product of c with W_UK^T q, and the sum over W_UV c is W_UV times the sum over c.
    /// All heads have the same keys, the latent vectors, whose first d_c components are the values, so that they are queries of one head.
    /// </summary>
    /// <inheritdoc cref="Explicit"/>
    public static Tensor Absorbed(
        Tensor q, Tensor qRotary, Tensor latent, Tensor keyMaps, Tensor valueMaps, double scale, Tensor? mask)
    {
        var (heads, latentWidth) = (keyMaps.shape[0], keyMaps.shape[2]);
        var query = cat([Product(q, keyMaps), qRotary], -1).flatten(1, 2).unsqueeze(1);           // [B, 1, H T, d_c + d_r]
        var z = SoftmaxAttention.Fused(query, latent, latent, mask?.repeat(1, 1, heads, 1), dropout: 0, causal: false, scale);
        z = z.narrow(-1, 0, latentWidth).squeeze(1).unflatten(1, [heads, -1]);                    // [B, H, T, d_c]
        return Product(z, valueMaps.transpose(1, 2));                                             // [B, H, T, E]
    }

    // kv_b_proj's rows are, head by head, W_UK and then W_UV: [H, D, d_c], [H, E, d_c].
    private Tensor KeyMaps => kv_b_proj.Weight.unflatten(0, [heads, -1]).narrow(1, 0, headWidth);

    private Tensor ValueMaps => kv_b_proj.Weight.unflatten(0, [heads, -1]).narrow(1, headWidth, valueWidth);

    private static Tensor Product(Tensor x, Tensor weights) => matmul(x.ForMatmul(), weights.to(x.dtype).ForMatmul()).to(x.dtype);

    private static Tensor Normalise(RmsNorm norm, Tensor x) => norm.call(x.ToFloat32()).to(x.dtype);

    // The first components of vectors, and the others.
    private static (Tensor First, Tensor Others) Cut(Tensor x, long first) =>
        (x.narrow(-1, 0, first), x.narrow(-1, first, x.shape[^1] - first));
}
