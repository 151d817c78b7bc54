using TorchSharp.Modules;
using Transformer.Configuration;
using Transformer.Layers.Norms;
using Transformer.Native;
using static TorchSharp.torch;

namespace Transformer.Layers.Attention;

// B batch · T tokens · C width · H heads · D head width · F feature width · E value width

/// <summary>
/// Linear attention and its relatives around one recurrence (<see cref="LinearRecurrence"/>): projections and short convolutions make
/// queries, keys and values, gates make the decay and the write strength, a norm and a gate follow the read. The default is Gated DeltaNet
/// (Yang, Kautz and Hatamizadeh 2024, arXiv:2412.06464). Parameters are named as in flash-linear-attention.
/// </summary>
public sealed class LinearAttention : TokenMixer
{
    private readonly LinearAttentionConfig config;
    private readonly LinearRule rule;
    private readonly Func<Tensor, Tensor> features;
    private readonly int headWidth, featureWidth, valueWidth;
    private readonly Linear q_proj;
    private readonly Linear k_proj;
    private readonly Linear v_proj;
    private readonly ShortConvolution? q_conv1d;
    private readonly ShortConvolution? k_conv1d;
    private readonly ShortConvolution? v_conv1d;
    private readonly Linear? b_proj;
    private readonly Linear? a_proj;
    private readonly Parameter? A_log;
    private readonly Parameter? dt_bias;
    private readonly Sequential? gk_proj;
    private readonly Linear? g_proj;
    private readonly RmsNorm? o_norm;
    private readonly Linear o_proj;

    /// <param name="config">The rule, heads and options.</param>
    /// <param name="width">C, the width of the residual stream.</param>
    public LinearAttention(LinearAttentionConfig config, int width) : base(nameof(LinearAttention))
    {
        (this.config, rule, features) = (config, config.Rule, Features(config));
        var heads = config.Heads;
        (headWidth, featureWidth, valueWidth) = (config.HeadWidthAt(width), config.FeatureWidthAt(width), config.ValueWidthAt(width));
        var (keys, values) = (heads * headWidth, heads * valueWidth);
        q_proj = new Linear(width, keys, hasBias: false);
        k_proj = new Linear(width, keys, hasBias: false);
        v_proj = new Linear(width, values, hasBias: false);
        if (config.Convolution is var tokens and > 0)
            (q_conv1d, k_conv1d, v_conv1d) = (new(keys, tokens), new(keys, tokens), new(values, tokens));
        if (rule.IsDelta) b_proj = new Linear(width, heads, hasBias: false);
        switch (rule.Decay)
        {
            case LinearDecay.None or LinearDecay.Constant: break;
            case LinearDecay.Step:
                a_proj = new Linear(width, heads, hasBias: false);
                (A_log, dt_bias) = (nn.Parameter(zeros(heads)), nn.Parameter(zeros(heads)));
                break;
            case LinearDecay.Component:
                const int Rank = LinearAttentionConfig.GateRank;
                gk_proj = nn.Sequential(new Linear(width, Rank, hasBias: false), new Linear(Rank, keys, hasBias: true));
                break;
            default: throw new ArgumentOutOfRangeException(nameof(config), rule.Decay, $"rule {rule}: no such decay");
        }
        if (config.IsOutputGated) g_proj = new Linear(width, values, hasBias: false);
        if (!rule.IsNormalised) o_norm = new RmsNorm(valueWidth, LinearAttentionConfig.NormEpsilon);
        o_proj = new Linear(values, width, hasBias: false);
        RegisterComponents();
    }

    /// <inheritdoc/>
    public override LayerState NewState(int rows, int length, Device device) => new RecurrentState(
        zeros(rows, config.Heads, featureWidth, valueWidth, device: device),
        rule.IsNormalised ? zeros(rows, config.Heads, 1, featureWidth, device: device) : null,
        q_conv1d?.NewState(rows, device), k_conv1d?.NewState(rows, device), v_conv1d?.NewState(rows, device));

    /// <param name="x">[B, T, C]</param>
    /// <param name="context">Rotation and padding of this pass.</param>
    /// <param name="state">A <see cref="RecurrentState"/>, or null for a pass without one.</param>
    /// <returns>[B, T, C]</returns>
    public override Tensor forward(Tensor x, ForwardContext context, LayerState? state)
    {
        var past = state as RecurrentState;
        var q = features(Split(Convolve(q_conv1d, q_proj.call(x), context, past?.Queries), headWidth));     // [B, H, T, F]
        var k = features(Split(Convolve(k_conv1d, k_proj.call(x), context, past?.Keys), headWidth));        // [B, H, T, F]
        var v = Split(Convolve(v_conv1d, v_proj.call(x), context, past?.Values), valueWidth);               // [B, H, T, E]
        var beta = b_proj is null ? null : config.GreatestBeta * PerHead(b_proj.call(x)).sigmoid();         // [B, H, T, 1]
        var (logDecay, step) = Decay(x, k);                                                      // [B, H, T, 1 or F], [B, H, T, 1]
        if (step is not null) k = step * k;
        if (!rule.IsNormalised) q = q / Math.Sqrt(headWidth);
        if (Padding(context, k) is { } padding) (k, logDecay) = (k.masked_fill(padding, 0), logDecay?.masked_fill(padding, 0));

        var normaliser = rule.IsNormalised ? Normaliser(q, k, past?.KeySum) : null;                       // [B, H, T, 1]
        if (rule.TakesRotation && context.Rotation is { } rotation) (q, k) = (rotation.Apply(q), rotation.Apply(k));
        var (o, end) = x.shape[1] == 1
            ? LinearRecurrence.Recurrent(q, k, v, logDecay, beta, past?.Matrix)
            : LinearRecurrence.Chunkwise(q, k, v, logDecay, beta, past?.Matrix, Chunk(x.shape[1]));         // [B, H, T, E]
        past?.Matrix.copy_(end);
        if (normaliser is not null) o = o / normaliser;
        return o_proj.call(Finish(o.transpose(1, 2), x));                                                   // [B, T, C]
    }

    private static Func<Tensor, Tensor> Features(LinearAttentionConfig config) => config.Rule.Features switch
    {
        LinearFeatures.Identity => x => x,
        LinearFeatures.UnitLength => UnitLength,
        LinearFeatures.Elu => FeatureMap.Elu,
        LinearFeatures.Dpfp => x => FeatureMap.Dpfp(x, config.Shifts),
        LinearFeatures.Taylor => FeatureMap.Taylor,
        var other => throw new ArgumentOutOfRangeException(nameof(config), other, $"rule {config.Rule}: no such features"),
    };

    // x / sqrt(|x|^2 + epsilon), which is the root-mean-square norm with a weight of one over the root of the width.
    private static Tensor UnitLength(Tensor x)
    {
        var width = x.shape[^1];
        if (!Kernels.Supports(x)) return x / (x.square().sum(-1, keepdim: true) + LinearAttentionConfig.UnitEpsilon).sqrt();
        return FusedRmsNorm.Apply(x, full(width, 1 / Math.Sqrt(width)), LinearAttentionConfig.UnitEpsilon / width);
    }

    // The logarithm of the decay of each token and, where the decay comes from a step in time (Mamba-2), the length of that step, by which
    // keys are multiplied.
    private (Tensor? LogDecay, Tensor? Step) Decay(Tensor x, Tensor k)
    {
        switch (rule.Decay)
        {
            case LinearDecay.Constant:
                return (Retention(config.Heads, k.device, config.Heads * config.Part.Number).expand(k.shape[0], -1, k.shape[2], -1), null);
            case LinearDecay.Component:
                return (nn.functional.logsigmoid(Split(gk_proj!.call(x), headWidth)) / LinearAttentionConfig.GateTemperature, null);
            case LinearDecay.Step:
                var step = PerHead(nn.functional.softplus(a_proj!.call(x) + dt_bias!));                    // [B, H, T, 1]
                return (-A_log!.exp().view(-1, 1, 1) * step, rule.ScalesKeys ? step : null);
            default:
                return (null, null);
        }
    }

    /// <summary>ln(1 - 2^(-5 - h)), the constant decays of RetNet's heads: [H, 1, 1].</summary>
    /// <param name="heads">H.</param>
    /// <param name="device">Where they are needed.</param>
    /// <param name="first">h of the first of them.</param>
    public static Tensor Retention(int heads, Device device, int first = 0) =>
        log1p(-pow(2, RetentionRule.FirstExponent - arange(first, first + heads, ScalarType.Float32, device))).view(-1, 1, 1);

    /// <summary>
    /// phi(q) . (the sum of phi(k) so far), by which the weights of the values sum to one (Katharopoulos et al. 2020, equation 9).
    /// </summary>
    /// <param name="q">[B, H, T, F]</param>
    /// <param name="k">[B, H, T, F]</param>
    /// <param name="keySum">
    /// The sum before the first token, which then becomes that after the last: [B, H, 1, F]; null for a pass without a state.
    /// </param>
    /// <returns>[B, H, T, 1]</returns>
    public static Tensor Normaliser(Tensor q, Tensor k, Tensor? keySum = null)
    {
        var sums = k.cumsum(2);                                                                             // [B, H, T, F]
        if (keySum is not null)
        {
            sums = sums + keySum;
            keySum.copy_(sums.narrow(2, sums.shape[2] - 1, 1));
        }
        return (q * sums).sum(-1, keepdim: true) + LinearAttentionConfig.NormaliserEpsilon;
    }

    private Tensor Convolve(ShortConvolution? convolution, Tensor x, ForwardContext context, ConvolutionState? state)
    {
        if (convolution is not null) x = convolution.call(x, context, state);
        return rule.HasConvolution ? nn.functional.silu(x) : x;
    }

    // True at padding tokens: [B, 1, T, 1]; null where there are none. A token with a zero key and no decay leaves the state unchanged.
    private static Tensor? Padding(ForwardContext context, Tensor k) => context.NewTokens.Count == 0
        ? null
        : (arange(k.shape[2]) >= tensor(context.NewTokens.Select(count => (long)count).ToArray()).unsqueeze(1))
            .ToDeviceAsync(k.device).view(-1, 1, k.shape[2], 1);

    private Tensor Finish(Tensor o, Tensor x)
    {
        if (o_norm is not null) o = o_norm.call(o);                                                         // [B, T, H, E]
        o = o.flatten(2).to(x.dtype);                                                                       // [B, T, H E]
        return g_proj is null ? o : o * nn.functional.silu(g_proj.call(x));
    }

    // A short text is one chunk, no longer than needed.
    private int Chunk(long tokens) =>
        (int)Math.Min(config.ChunkLength, (long)System.Numerics.BitOperations.RoundUpToPowerOf2((ulong)tokens));

    // States are kept in fp32, whatever the model computes in: [B, T, H x n] to [B, H, T, n].
    private Tensor Split(Tensor x, int n) => x.to(ScalarType.Float32).view(x.shape[0], x.shape[1], config.Heads, n).transpose(1, 2);

    private static Tensor PerHead(Tensor x) => x.to(ScalarType.Float32).transpose(1, 2).unsqueeze(-1);      // [B, T, H] to [B, H, T, 1]
}
