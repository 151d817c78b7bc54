using TorchSharp.Modules;
using Transformer.Configuration;
using Transformer.Layers.Norms;
using Transformer.Native;
using static TorchSharp.torch;

namespace Transformer.Layers.Attention;

// B batch · T tokens · S cached tokens · C width · H heads · G key/value heads · D head width

/// <summary>
/// Causal self-attention (Vaswani et al. 2017, section 3.2) with G key/value heads shared by H query heads
/// (Ainslie et al. 2023): G = H is multi-head, G = 1 multi-query attention. A window limits how far back queries see.
/// </summary>
public sealed class SoftmaxAttention : TokenMixer
{
    private readonly int heads, keyValueHeads, headWidth;
    private readonly double scale, dropout;
    private readonly double? softCap;
    private readonly SoftmaxKernel kernel;
    private readonly Linear q_proj;
    private readonly Linear k_proj;
    private readonly Linear v_proj;
    private readonly Linear o_proj;
    private readonly RmsNorm? q_norm;
    private readonly RmsNorm? k_norm;
    private readonly Parameter? value_mix;
    private readonly bool valueResidual;
    private readonly AttentionWindow? window;

    /// <param name="config">Heads and options.</param>
    /// <param name="width">C, the width of the residual stream.</param>
    /// <param name="scale">What q k^T is multiplied by; 1 / sqrt(D) where null.</param>
    /// <param name="givesFirstValues">
    /// Whether this is the layer whose values those of later ones are mixed with, where there is a value residual.
    /// </param>
    public SoftmaxAttention(SoftmaxAttentionConfig config, int width, double? scale = null, bool givesFirstValues = false)
        : base(nameof(SoftmaxAttention))
    {
        (heads, keyValueHeads, headWidth) = (config.Heads, config.KvHeads ?? config.Heads, config.HeadWidthAt(width));
        (dropout, softCap, this.scale) = (config.Dropout, config.LogitSoftCap, scale ?? 1 / Math.Sqrt(headWidth));
        kernel = config.Kernel;
        q_proj = new Linear(width, heads * headWidth, hasBias: config.Bias);
        k_proj = new Linear(width, keyValueHeads * headWidth, hasBias: config.Bias);
        v_proj = new Linear(width, keyValueHeads * headWidth, hasBias: config.Bias);
        o_proj = new Linear(heads * headWidth, width, hasBias: config.Bias);
        if (config.QueryKeyNorm) (q_norm, k_norm) = (HeadNorm(), HeadNorm());
        valueResidual = config.ValueResidual;
        if (valueResidual && !givesFirstValues) value_mix = new Parameter(full([2], 0.5f));
        window = AttentionWindow.FromConfig(config.Window, heads, width);
        RegisterComponents();

        RmsNorm HeadNorm() => new(headWidth, SoftmaxAttentionConfig.QueryKeyNormEpsilon);
    }

    /// <inheritdoc/>
    public override LayerState NewState(int rows, int length, Device device) => window is null
        ? new KeyValueCache(rows, keyValueHeads, length, headWidth, device)
        : new RollingKeyValueCache(rows, keyValueHeads, window.Keys(length), headWidth, device);

    /// <param name="x">[B, T, C]</param>
    /// <param name="context">Mask and rotation of this pass.</param>
    /// <param name="state">What <see cref="NewState"/> gave, or null for a pass without one.</param>
    /// <returns>[B, T, C]</returns>
    public override Tensor forward(Tensor x, ForwardContext context, LayerState? state)
    {
        var q = Split(q_proj.call(x), heads);                                   // [B, T, H, D]
        var k = Split(k_proj.call(x), keyValueHeads);                           // [B, T, G, D]
        var v = Split(v_proj.call(x), keyValueHeads);                           // [B, T, G, D]
        if (valueResidual) v = MixWithFirst(v, context);
        if (q_norm is not null && k_norm is not null)
            (q, k) = (q_norm.call(q.ToFloat32()).to(v.dtype), k_norm.call(k.ToFloat32()).to(v.dtype));
        var z = Attend(q, k, v, window?.call(x, context), context, state);      // [B, T, H, D]
        return o_proj.call(z.flatten(2));                                       // [B, T, C]
    }

    // l1 v_1 + l2 v (Zhou et al. 2024, arXiv:2410.17897); the first layer's are v_1 itself.
    private Tensor MixWithFirst(Tensor v, ForwardContext context) => value_mix is null
        ? context.KeepFirstValues(v)
        : value_mix[0] * context.FirstValues! + value_mix[1] * v;               // [B, T, G, D]

    // Rotation and softmax(scale q k^T + mask) v by the fastest kernel that knows what this pass needs. All of them equal Explicit.
    private Tensor Attend(Tensor q, Tensor k, Tensor v, Window? reach, ForwardContext context, LayerState? state)
    {
        var drop = training ? dropout : 0;
        var isPlain = kernel == SoftmaxKernel.Fused && state is null && softCap is null && drop == 0 && context.AttentionWeights is null;
        if (isPlain && context is { Causal: true, Mask: null, Bias: null } && CausalAttention.Supports(q))
            return CausalAttention.Apply(q, k, v, context.Rotation, scale, reach);

        (q, k, v) = (q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2));  // [B, H, T, D], 2 x [B, G, T, D]
        if (context.Rotation is { } rotation) (q, k) = (rotation.Apply(q), context.CacheRotation is null ? rotation.Apply(k) : k);
        if (reach is not null) return AttendWithin(reach, q, k, v, drop, context, state).transpose(1, 2);
        if (state is KeyValueCache cache) (k, v) = cache.Append(k, v, context); // 2 x [B, G, S, D]
        if (context.CacheRotation is { } keysRotation) k = keysRotation.Apply(k);
        if (context.AttentionWeights is { } wanted) wanted[this] = WeightsOf(q, k, context);
        if (kernel == SoftmaxKernel.Fused && softCap is null && context.Bias is null)
            return Fused(q, k, v, context.Mask, drop, context.Causal, scale).transpose(1, 2);

        var mask = context.Causal ? CausalMask(q.shape[2], q.device) : context.Mask;
        var bias = context.Bias?.call(q, Queries(q, context), arange(k.shape[2], device: k.device));    // [B or 1, H, T, S]
        // With a learned bias the fused kernel gives other bits with a graph than without one, which a recomputed block must not.
        if (kernel == SoftmaxKernel.Explicit || softCap is not null || (training && context.Bias!.IsLearned))
            return Explicit(q, k, v, scale, mask, softCap, drop, bias).transpose(1, 2);
        if (mask is not null) bias = bias!.masked_fill(mask.logical_not(), double.NegativeInfinity);
        return Fused(q, k, v, bias!.to(q.dtype), drop, causal: false, scale).transpose(1, 2);
    }

    // What the kernels compute and do not give: [B, H, T, S].
    private Tensor WeightsOf(Tensor q, Tensor k, ForwardContext context)
    {
        var mask = context.Causal ? CausalMask(q.shape[2], q.device) : context.Mask;
        var bias = context.Bias?.call(q, Queries(q, context), arange(k.shape[2], device: k.device));
        return Weights(q, k, scale, mask, softCap, bias).DetachFromDisposeScope();
    }

    private Tensor AttendWithin(Window reach, Tensor q, Tensor k, Tensor v, double drop, ForwardContext context, LayerState? state)
    {
        var queries = Queries(q, context);
        var keys = queries;
        if (state is RollingKeyValueCache cache) (k, v, keys) = cache.Append(k, v, context);    // 2 x [B, G, S, D], [B, S]
        return WindowedAttention.Apply(q, k, v, reach, queries, keys, scale, softCap, drop, context.Bias, kernel);
    }

    // The positions of the queries: [T] or [B, T].
    private static Tensor Queries(Tensor q, ForwardContext context) => context.Positions ?? arange(q.shape[2], device: q.device);

    /// <summary>The same by libtorch's fused kernel.</summary>
    internal static Tensor Fused(Tensor q, Tensor k, Tensor v, Tensor? mask, double dropout, bool causal, double scale) =>
        Aten.ScaledDotProductAttention(
            q.ForMatmul().contiguous(), k.ForMatmul().contiguous(), v.ForMatmul().contiguous(),
            mask?.ForMatmul(), dropout, causal, scale).to(v.dtype);

    /// <summary>
    /// The paper's equation, softmax(scale q k^T + mask) v, with the T x S scores in memory: the reference of the fused kernels, what
    /// computes soft caps and, block by block, soft masks, and everything under <see cref="SoftmaxKernel.Explicit"/>. Scores and weights
    /// are fp32 where q, k and v are 16-bit.
    /// </summary>
    /// <param name="q">[B, H, T, D]</param>
    /// <param name="k">[B, G, S, D]</param>
    /// <param name="v">[B, G, S, D]</param>
    /// <param name="scale">What q k^T is multiplied by.</param>
    /// <param name="mask">Broadcastable to [B, H, T, S], true is visible; null where every query sees every key.</param>
    /// <param name="softCap">c in c * tanh(score / c); none where null.</param>
    /// <param name="dropout">The probability with which weights are dropped.</param>
    /// <param name="bias">Added to the scaled scores; broadcastable to [B, H, T, S].</param>
    /// <param name="softMask">What weights are multiplied by before they are normalised again; broadcastable to [B, H, T, S].</param>
    /// <returns>[B, H, T, D]</returns>
    public static Tensor Explicit(
        Tensor q, Tensor k, Tensor v, double scale, Tensor? mask,
        double? softCap = null, double dropout = 0, Tensor? bias = null, Tensor? softMask = null)
    {
        var sharing = q.shape[1] / k.shape[1];
        if (sharing > 1) (k, v) = (k.repeat_interleave(sharing, dim: 1), v.repeat_interleave(sharing, dim: 1));    // 2 x [B, H, S, D]
        var scores = matmul((scale * q).ForMatmul(), k.ForMatmul().transpose(-2, -1)).to(q.dtype).ToFloat32();       // [B, H, T, S]
        if (bias is not null) scores = scores + bias;
        if (softCap is { } cap) scores = cap * (scores / cap).tanh();
        if (mask is not null) scores = scores.masked_fill(mask.logical_not(), double.NegativeInfinity);
        var weights = scores.softmax(-1);
        if (softMask is not null)
            weights = weights * softMask / ((weights * softMask).sum(-1, keepdim: true) + LearnedWindowConfig.Epsilon);
        return matmul(nn.functional.dropout(weights, dropout).to(v.dtype).ForMatmul(), v.ForMatmul()).to(v.dtype);    // [B, H, T, D]
    }

    /// <summary>The weights alone, [B, H, T, S]: what the values of S tokens become that are the rows of an identity matrix.</summary>
    /// <inheritdoc cref="Explicit"/>
    internal static Tensor Weights(Tensor q, Tensor k, double scale, Tensor? mask, double? softCap = null, Tensor? bias = null)
    {
        var tokens = k.shape[2];
        var each = eye(tokens, dtype: ScalarType.Float32, device: k.device).expand(k.shape[0], k.shape[1], tokens, tokens);
        return Explicit(q, k, each, scale, mask, softCap, bias: bias);
    }

    /// <summary>True where query t may see key s, that is s &lt;= t: [T, T].</summary>
    public static Tensor CausalMask(long tokens, Device device) => ones(tokens, tokens, ScalarType.Bool, device).tril();

    private Tensor Split(Tensor x, long n) => x.view(x.shape[0], x.shape[1], n, headWidth);
}
