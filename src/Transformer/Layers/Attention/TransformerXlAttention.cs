using TorchSharp.Modules;
using Transformer.Configuration;
using Transformer.Native;
using static TorchSharp.torch;

namespace Transformer.Layers.Attention;

// B batch · T tokens · M tokens of memory · S keys, of the memory and of the tokens · C width · H heads · D head width

/// <summary>
/// Transformer-XL's attention (Dai et al. 2019, arXiv:1901.02860, section 3): keys and values of the segment and of the M tokens that this
/// block read before it, and the score (q_i + u) k_j + (q_i + v) W_r r_(i-j), r being the sines and cosines of the distance. The memory
/// gets no gradient. It holds what this module reads, the normalised stream under pre-norm.
/// </summary>
public sealed class TransformerXlAttention : TokenMixer
{
    private readonly int heads, headWidth, memoryLength;
    private readonly int? clampLength;
    private readonly bool sameLength;
    private readonly double scale;
    private readonly Parameter u_bias, v_bias;
    private readonly Linear q_proj;
    private readonly Linear k_proj;
    private readonly Linear v_proj;
    private readonly Linear r_proj;
    private readonly Linear o_proj;

    /// <param name="config">Heads and memory.</param>
    /// <param name="width">C, the width of the residual stream.</param>
    /// <param name="scale">What scores are multiplied by; 1 / sqrt(D) where null.</param>
    public TransformerXlAttention(TransformerXlAttentionConfig config, int width, double? scale = null)
        : base(nameof(TransformerXlAttention))
    {
        (heads, headWidth, memoryLength) = (config.Heads, config.HeadWidthAt(width), config.MemoryLength);
        (sameLength, clampLength, this.scale) = (config.SameLength, config.ClampLength, scale ?? 1 / Math.Sqrt(headWidth));
        var inner = heads * headWidth;
        (u_bias, v_bias) = (new Parameter(zeros(inner)), new Parameter(zeros(inner)));
        q_proj = new Linear(width, inner, hasBias: false);
        k_proj = new Linear(width, inner, hasBias: false);
        v_proj = new Linear(width, inner, hasBias: false);
        r_proj = new Linear(width, inner, hasBias: false);
        o_proj = new Linear(inner, width, hasBias: false);
        RegisterComponents();
    }

    /// <inheritdoc/>
    public override LayerState NewState(int rows, int length, Device device) =>
        new SegmentCache(rows, heads, memoryLength, length, headWidth, device);

    /// <param name="x">[B, T, C]</param>
    /// <param name="context">The memory before and after this segment.</param>
    /// <param name="state">A <see cref="SegmentCache"/>, or null for a pass without one.</param>
    /// <returns>[B, T, C]</returns>
    public override Tensor forward(Tensor x, ForwardContext context, LayerState? state)
    {
        var q = Split(q_proj.call(x));                                              // [B, H, T, D]
        var z = state is SegmentCache cache ? AttendCached(q, x, context, cache) : AttendSegment(q, x, context);    // [B, H, T, D]
        return o_proj.call(z.transpose(1, 2).flatten(2));                           // [B, T, C]
    }

    private Tensor AttendSegment(Tensor q, Tensor x, ForwardContext context)
    {
        var before = context.MemoryBefore?.Of(this)?[0];                            // [B, M, C]
        var all = before is null ? x : cat([before.to(x.dtype), x], 1);             // [B, S, C]
        var (T, S) = (x.shape[1], all.shape[1]);
        var kept = Math.Min(memoryLength, S);
        context.MemoryAfter?.Keep(this, all.narrow(1, S - kept, kept).detach().ToFloat32());
        var keys = arange(T - S, T, device: x.device);                              // [S], the first of the segment at 0
        var mask = Visible(arange(T, device: x.device), keys);                      // [1, 1, T, S]
        if (before is not null && Unread(context, S - T, keys) is { } unread) mask = mask.logical_and(unread.logical_not());
        var products = Products(q, Vectors(S, q));                                  // [B, H, T, S], by distance
        return Attend(q, Split(k_proj.call(all)), Split(v_proj.call(all)), mask, RelativeShift(products.flip(-1)));
    }

    private Tensor AttendCached(Tensor q, Tensor x, ForwardContext context, SegmentCache cache)
    {
        var (k, v, keys) = cache.Append(Split(k_proj.call(x)), Split(v_proj.call(x)), context);    // 2 x [B, H, S, D], [B, S]
        var queries = context.Positions ?? arange(x.shape[1], device: x.device);    // [T] or [B, T]
        var products = Products(q, Vectors(memoryLength + cache.Length, q));
        return Attend(q, k, v, Visible(queries, keys), ByDistance(products, queries, keys));
    }

    private Tensor Attend(Tensor q, Tensor k, Tensor v, Tensor mask, Tensor distances) =>
        SoftmaxAttention.Explicit(q + Bias(u_bias, q), k, v, scale, mask, bias: distances);

    // scale (q + v) W_r r_d for the distances d = 0 .. L - 1: [B, H, T, L].
    private Tensor Products(Tensor q, Tensor vectors) =>
        matmul((scale * (q + Bias(v_bias, q))).ForMatmul(), vectors.ForMatmul().transpose(-2, -1)).to(q.dtype).ToFloat32();

    // W_r r_d for the distances d = 0 .. L - 1: [H, L, D].
    private Tensor Vectors(long distances, Tensor like)
    {
        var d = arange(distances, ScalarType.Float32, like.device);
        if (clampLength is { } clamp) d = d.clamp_max(clamp);
        return r_proj.call(Distances(d, r_proj.Weight.shape[1]).to(like.dtype)).view(distances, heads, headWidth).transpose(0, 1);
    }

    /// <summary>r_d: the sines of d / 10000^(2i/C), then their cosines.</summary>
    /// <param name="d">[L]</param>
    /// <param name="width">C, even.</param>
    /// <returns>[L, C]</returns>
    public static Tensor Distances(Tensor d, long width)
    {
        var frequencies = pow(SinusoidalPositionConfig.Base, -arange(0, width, 2, ScalarType.Float32, d.device) / width);    // [C/2]
        var angles = outer(d, frequencies);                                                                                  // [L, C/2]
        return cat([angles.sin(), angles.cos()], -1);
    }

    /// <summary>
    /// What each query's products with the distances S - 1 .. 0 are for its keys, the last of which is the last query's own, without
    /// gathering: a row of one more number moves row t by T - 1 - t places (the paper's appendix B).
    /// </summary>
    /// <param name="products">[B, H, T, S]</param>
    /// <returns>[B, H, T, S]; entries of keys after their query are not meaningful.</returns>
    internal static Tensor RelativeShift(Tensor products)
    {
        var (B, H, T, S) = (products.shape[0], products.shape[1], products.shape[2], products.shape[3]);
        return nn.functional.pad(products, [1, 0]).view(B, H, S + 1, T).narrow(2, 1, S).reshape(B, H, T, S);
    }

    /// <summary>The same for any queries and keys, by their distance.</summary>
    /// <param name="products">With the distances 0 .. L - 1: [B, H, T, L].</param>
    /// <param name="queries">Their positions: [T] or [B, T].</param>
    /// <param name="keys">Their positions: [S] or [B, S].</param>
    /// <returns>[B, H, T, S]; entries of keys after their query are not meaningful.</returns>
    internal static Tensor ByDistance(Tensor products, Tensor queries, Tensor keys)
    {
        var distance = Distance(queries, keys).clamp(0, products.shape[3] - 1);                                    // [B or 1, 1, T, S]
        return products.gather(-1, distance.expand(products.shape[0], products.shape[1], -1, -1));
    }

    private Tensor Visible(Tensor queries, Tensor keys)
    {
        var distance = Distance(queries, keys);
        return sameLength ? (distance >= 0).logical_and(distance < memoryLength) : distance >= 0;
    }

    // Places of the memory that hold nothing of a row's own text: [B, 1, 1, S]; null where none does.
    private static Tensor? Unread(ForwardContext context, long held, Tensor keys)
    {
        if (context.MemoryBefore!.Lengths.All(length => length >= held)) return null;
        var first = tensor(context.MemoryBefore.Lengths.Select(length => -Math.Min(length, held)).ToArray()).ToDeviceAsync(keys.device);
        return (keys < first.unsqueeze(-1)).unsqueeze(1).unsqueeze(1);
    }

    // From key to query in tokens: [B or 1, 1, T, S].
    private static Tensor Distance(Tensor queries, Tensor keys)
    {
        var distance = queries.unsqueeze(-1) - keys.unsqueeze(-2);
        return distance.dim() == 2 ? distance.unsqueeze(0).unsqueeze(0) : distance.unsqueeze(1);
    }

    private Tensor Bias(Tensor bias, Tensor like) => bias.view(heads, 1, headWidth).to(like.dtype);                         // [H, 1, D]

    private Tensor Split(Tensor x) => x.view(x.shape[0], x.shape[1], heads, headWidth).transpose(1, 2);
}
