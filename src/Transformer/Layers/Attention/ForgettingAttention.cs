using Transformer.Configuration;
using Transformer.Layers.Norms;
using Transformer.Native;
using static TorchSharp.torch;

namespace Transformer.Layers.Attention;

// B batch · T tokens · S cached tokens · C width · H heads · G key/value heads · D head width

/// <summary>
/// Forgetting attention (Lin et al. 2025, arXiv:2503.02130): softmax(scale q_i k_j + log f_(j+1) + ... + log f_i) v_j, where the gate
/// f_t = sigmoid(w x_t + b) of each head says how much of what came before token t it keeps. A sum of logarithms is a difference of two
/// running sums, so that fused kernels need two numbers more a query and a key.
/// </summary>
public sealed class ForgettingAttention : TokenMixer
{
    private readonly int heads, keyValueHeads, headWidth;
    private readonly double scale;
    private readonly Linear q_proj;
    private readonly Linear k_proj;
    private readonly Linear v_proj;
    private readonly Linear fgate_proj;
    private readonly Linear? k_shift_proj;
    private readonly Linear? v_shift_proj;
    private readonly HeadRmsNorm? q_norm;
    private readonly HeadRmsNorm? k_norm;
    private readonly Linear? ogate_proj;
    private readonly HeadRmsNorm? o_norm;
    private readonly Linear o_proj;

    /// <param name="config">Heads and options.</param>
    /// <param name="width">C, the width of the residual stream.</param>
    /// <param name="scale">What q k^T is multiplied by; 1 / sqrt(D) where null.</param>
    /// <param name="epsilon">Added to the mean square of the norm of the output.</param>
    public ForgettingAttention(ForgettingAttentionConfig config, int width, double? scale = null, double epsilon = 1e-5)
        : base(nameof(ForgettingAttention))
    {
        (heads, keyValueHeads, headWidth) = (config.Heads, config.KeyValueHeads, config.HeadWidthAt(width));
        this.scale = scale ?? 1 / Math.Sqrt(headWidth);
        q_proj = new Linear(width, heads * headWidth, hasBias: false);
        k_proj = new Linear(width, keyValueHeads * headWidth, hasBias: false);
        v_proj = new Linear(width, keyValueHeads * headWidth, hasBias: false);
        fgate_proj = new Linear(width, heads, hasBias: true);
        if (config.KeyValueShift)
        {
            k_shift_proj = new Linear(width, keyValueHeads, hasBias: false);
            v_shift_proj = new Linear(width, keyValueHeads, hasBias: false);
        }
        if (config.QueryKeyNorm)
        {
            q_norm = new HeadRmsNorm(heads, headWidth, ForgettingAttentionConfig.QueryKeyNormEpsilon);
            k_norm = new HeadRmsNorm(keyValueHeads, headWidth, ForgettingAttentionConfig.QueryKeyNormEpsilon);
        }
        if (config.OutputGate)
        {
            ogate_proj = new Linear(width, heads * headWidth, hasBias: false);
            o_norm = new HeadRmsNorm(heads, headWidth, epsilon);
        }
        o_proj = new Linear(heads * headWidth, width, hasBias: false);
        RegisterComponents();
    }

    /// <inheritdoc/>
    public override LayerState NewState(int rows, int length, Device device) =>
        new ForgettingCache(rows, heads, keyValueHeads, length, headWidth, keepsLast: k_shift_proj is not null, device);

    /// <param name="x">[B, T, C]</param>
    /// <param name="context">Mask and rotation of this pass.</param>
    /// <param name="state">A <see cref="ForgettingCache"/>, or null for a pass without one.</param>
    /// <returns>[B, T, C]</returns>
    public override Tensor forward(Tensor x, ForwardContext context, LayerState? state)
    {
        var cache = state as ForgettingCache;
        var q = Split(q_proj.call(x), heads);                                            // [B, T, H, D]
        var k = Split(k_proj.call(x), keyValueHeads);                                    // [B, T, G, D]
        var v = Split(v_proj.call(x), keyValueHeads);                                    // [B, T, G, D]
        if (k_shift_proj is not null && v_shift_proj is not null)
        {
            var before = cache?.Exchange(k, v, context);                                 // 2 x [B, 1, G, D]
            (k, v) = (Shift(k, k_shift_proj.call(x), before?.Keys), Shift(v, v_shift_proj.call(x), before?.Values));
        }
        if (q_norm is not null && k_norm is not null) (q, k) = (q_norm.call(q), k_norm.call(k));
        (q, k, v) = (q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2));           // [B, H, T, D], 2 x [B, G, T, D]
        if (context.Rotation is { } rotation) (q, k) = (rotation.Apply(q), rotation.Apply(k));
        var logForget = nn.functional.logsigmoid(fgate_proj.call(x).ToFloat32()).transpose(1, 2);    // [B, H, T]
        if (cache is not null) (k, v, logForget) = cache.Append(k, v, logForget, context);    // 2 x [B, G, S, D], [B, H, S]

        var z = Attend(q, k, v, logForget, context).transpose(1, 2);                     // [B, T, H, D]
        if (o_norm is not null) z = o_norm.call(z) * Split(ogate_proj!.call(x), heads).sigmoid();
        return o_proj.call(z.flatten(2));                                                // [B, T, C]
    }

    private Tensor Attend(Tensor q, Tensor k, Tensor v, Tensor logForget, ForwardContext context)
    {
        if (context is { Causal: true, Mask: null } && k.shape[2] == q.shape[2] && CausalAttention.Supports(q))
            return Fused(q, k, v, logForget, scale);
        var mask = context.Causal ? SoftmaxAttention.CausalMask(q.shape[2], q.device) : context.Mask;
        return Explicit(q, k, v, logForget, scale, mask, context.Positions);
    }

    /// <summary>The paper's equation with the T x S scores in memory: softmax attention with <see cref="Bias"/>.</summary>
    /// <param name="q">[B, H, T, D]</param>
    /// <param name="k">[B, G, S, D]</param>
    /// <param name="v">[B, G, S, D]</param>
    /// <param name="logForget">[B, H, S], of every key's token.</param>
    /// <param name="scale">What q k^T is multiplied by.</param>
    /// <param name="mask">Broadcastable to [B, H, T, S], true is visible; null where every query sees every key.</param>
    /// <param name="positions">Which keys are the queries' own: [T] or [B, T]; 0 .. T - 1 where null.</param>
    /// <returns>[B, H, T, D]</returns>
    public static Tensor Explicit(
        Tensor q, Tensor k, Tensor v, Tensor logForget, double scale, Tensor? mask, Tensor? positions = null) =>
        SoftmaxAttention.Explicit(q, k, v, scale, mask, bias: Bias(logForget, positions));

    /// <summary>
    /// log f_(j+1) + ... + log f_i, what query i's head has forgotten of key j: a difference of running sums, in double precision since
    /// they grow with the text.
    /// </summary>
    /// <param name="logForget">[B, H, S]</param>
    /// <param name="positions">i: [T] or [B, T]; all S where null.</param>
    /// <returns>[B, H, T, S]; entries of keys after their query are not meaningful.</returns>
    public static Tensor Bias(Tensor logForget, Tensor? positions = null)
    {
        var sums = logForget.to(ScalarType.Float64).cumsum(-1);                          // [B, H, S]
        var own = sums;
        if (positions is not null)
        {
            var at = positions.clamp_max(sums.shape[2] - 1);                             // padding may stand past the last key
            at = at.dim() == 1 ? at.view(1, 1, -1) : at.unsqueeze(1);
            own = sums.gather(2, at.expand(sums.shape[0], sums.shape[1], -1));           // [B, H, T]
        }
        return (own.unsqueeze(-1) - sums.unsqueeze(-2)).to(ScalarType.Float32);
    }

    /// <summary>
    /// The same by the fused kernel for whole texts: (q, c_i, 1) times (k, 1, -c_j) is the score with its bias, c being the running sum.
    /// </summary>
    internal static Tensor Fused(Tensor q, Tensor k, Tensor v, Tensor logForget, double scale)
    {
        var (width, sharing) = (q.shape[3], q.shape[1] / k.shape[1]);
        if (sharing > 1) (k, v) = (k.repeat_interleave(sharing, dim: 1), v.repeat_interleave(sharing, dim: 1));    // 2 x [B, H, T, D]
        var sums = logForget.to(ScalarType.Float64).cumsum(-1).to(ScalarType.Float32).unsqueeze(-1);               // [B, H, T, 1]
        var one = ones_like(sums);
        var z = CausalAttention.Apply(
            cat([scale * q, sums, one], -1).transpose(1, 2), cat([k, one, -sums], -1).transpose(1, 2),
            nn.functional.pad(v, [0, 2]).transpose(1, 2), rotation: null, scale: 1);                               // [B, T, H, D + 2]
        return z.narrow(-1, 0, width).transpose(1, 2);                                                             // [B, H, T, D]
    }

    /// <summary>a_t x_(t-1) + (1 - a_t) x_t with a share a of each head, the token before the first one being zeros.</summary>
    /// <param name="x">Keys or values: [B, T, G, D].</param>
    /// <param name="share">a before its sigmoid: [B, T, G].</param>
    /// <param name="before">x of the token before: [B, 1, G, D]; zeros where null.</param>
    private static Tensor Shift(Tensor x, Tensor share, Tensor? before)
    {
        var earlier = cat([before ?? zeros_like(x.narrow(1, 0, 1)), x.narrow(1, 0, x.shape[1] - 1)], 1);           // [B, T, G, D]
        var a = share.sigmoid().unsqueeze(-1);                                                                     // [B, T, G, 1]
        return a * earlier + (1 - a) * x;
    }

    private Tensor Split(Tensor x, long n) => x.view(x.shape[0], x.shape[1], n, headWidth);
}
