using Transformer.Configuration;
using Transformer.Layers.Attention;
using static TorchSharp.torch;

namespace Transformer.Onnx.Graph;

// B batch · T tokens · S keys · C width · H heads · G key/value heads · D head width

/// <summary>
/// Causal softmax attention: <see cref="SoftmaxAttention.Explicit"/> as a graph, over a cache that each context makes longer; or ONNX Runtime's
/// GroupQueryAttention, over a cache that it fills.
/// </summary>
internal sealed class SoftmaxAttentionGraph
{
    /// <summary>What a cache's two parts are called.</summary>
    public const string Keys = "key", Values = "value";

    private const float Unseen = float.MinValue;

    private readonly GraphContext context;
    private readonly SoftmaxAttentionConfig config;
    private readonly int layer, heads, keyValueHeads, headWidth;
    private readonly string name;

    private SoftmaxAttentionGraph(GraphContext context, SoftmaxAttentionConfig config, int layer, string name)
    {
        (this.context, this.config, this.layer, this.name) = (context, config, layer, name);
        (heads, keyValueHeads, headWidth) = (config.Heads, config.KvHeads ?? config.Heads, config.HeadWidthAt(context.Config.Width));
    }

    /// <param name="context">What layers share.</param>
    /// <param name="x">[B, T, C]</param>
    /// <param name="config">Heads and options.</param>
    /// <param name="layer">The block.</param>
    /// <param name="name">The module's name.</param>
    /// <returns>[B, T, C]</returns>
    public static Value Mix(GraphContext context, Value x, SoftmaxAttentionConfig config, int layer, string name) => new SoftmaxAttentionGraph(context, config, layer, name).Mix(x);

    private Value Mix(Value x)
    {
        var q = Split(context.Weights.Linear(x, $"{name}.q_proj"), heads);                                         // [B, T, H, D]
        var k = Split(context.Weights.Linear(x, $"{name}.k_proj"), keyValueHeads);                                 // [B, T, G, D]
        var v = Split(context.Weights.Linear(x, $"{name}.v_proj"), keyValueHeads);                                 // [B, T, G, D]
        if (config.ValueResidual) v = MixWithFirst(v);
        if (config.QueryKeyNorm) (q, k) = (Norm(q, "q_norm"), Norm(k, "k_norm"));
        return context.Weights.Linear(IsGroupQuery ? GroupQuery(q, k, v) : Explicit(q, k, v, x), $"{name}.o_proj"); // [B, T, C]
    }

    // What the operator has no words for: biases of scores, windows other than sliding ones, keys that are turned anew in each context, some widths of heads.
    private bool IsGroupQuery =>
        context.Graph.IsFused && context.Bias is null && config.Window is FullWindowConfig or SlidingWindowConfig && context.Rotation is not { TurnsCache: true } && headWidth % 8 == 0;

    // [B, T, H D]
    private Value GroupQuery(Value q, Value k, Value v)
    {
        // The operator turns queries and keys itself, in heads whose width 16 divides.
        var turns = context.Rotation is not null && headWidth % 16 == 0;
        if (context.Rotation is { } rotation && !turns) (q, k) = (Turned(rotation, q), Turned(rotation, k));
        Value[] inputs =
        [
            Join(q, heads), Join(k, keyValueHeads), Join(v, keyValueHeads),
            context.Cache(layer, Keys, keyValueHeads, headWidth), context.Cache(layer, Values, keyValueHeads, headWidth),
            context.LastSlots, context.LongestText,
            .. turns ? [context.Rotation!.Tables.Cos, context.Rotation.Tables.Sin] : Array.Empty<Value>(),
        ];
        var outputs = context.Graph.Nodes(
            "GroupQueryAttention", inputs, outputs: 3, GraphBuilder.MicrosoftDomain,
            ("num_heads", (long)heads), ("kv_num_heads", (long)keyValueHeads), ("scale", (float)context.Config.ScoreScale(config)), ("do_rotary", turns ? 1L : 0L),
            ("local_window_size", config.Window is SlidingWindowConfig sliding ? sliding.Size : -1L), ("softcap", (float)(config.LogitSoftCap ?? 0)));
        context.KeepCache(layer, Keys, outputs[1], keyValueHeads, headWidth);
        context.KeepCache(layer, Values, outputs[2], keyValueHeads, headWidth);
        return outputs[0];

        static Value Turned(RotationGraph rotation, Value x) => rotation.Apply(x.Transpose(0, 2, 1, 3)).Transpose(0, 2, 1, 3);
    }

    // [B, T, H D]
    private Value Explicit(Value q, Value k, Value v, Value x)
    {
        (q, k, v) = (q.Transpose(0, 2, 1, 3), k.Transpose(0, 2, 1, 3), v.Transpose(0, 2, 1, 3));                // [B, H, T, D], 2 x [B, G, T, D]
        if (context.Rotation is { } rotation) (q, k) = (rotation.Apply(q), rotation.TurnsCache ? k : rotation.Apply(k));
        k = context.Append(layer, Keys, k, keyValueHeads, headWidth);                                               // [B, G, S, D]
        v = context.Append(layer, Values, v, keyValueHeads, headWidth);                                            // [B, G, S, D]
        if (context.Rotation is { TurnsCache: true } later) k = later.ApplyToCache(k);

        var z = Shared(Weights(q, k, x)).MatMul(v).Reshape(0, heads, -1, headWidth);                            // [B, H, T, D]
        return Join(z.Transpose(0, 2, 1, 3), heads);
    }

    // How much of each key's value every query takes: [B, H, T, S].
    private Value Weights(Value q, Value k, Value x)
    {
        var scores = Shared(q).MatMul(k.Transpose(0, 1, 3, 2)) * context.Config.ScoreScale(config);         // [B, G, H/G T, S]
        scores = scores.Reshape(0, heads, -1, 0);                                                               // [B, H, T, S]
        if (context.Bias is { } bias) scores += bias.For(q, config);
        if (config.LogitSoftCap is { } cap) scores = (scores * (1 / cap)).Apply("Tanh") * cap;
        var (visible, softMask) = Sight(x);
        var weights = visible.Where(scores, context.Graph.Scalar(Unseen)).Softmax();
        if (softMask is null) return weights;
        weights *= softMask;
        return weights / (weights.Sum(-1) + LearnedWindowConfig.Epsilon);
    }

    // Which keys each query sees, and the soft mask of a learned span where there is one: 2 x [B, H or 1, T, S].
    private (Value Visible, Value? SoftMask) Sight(Value x)
    {
        switch (config.Window)
        {
            case FullWindowConfig:
                return (context.Visible, null);
            case SlidingWindowConfig sliding:
                return (context.Visible.And(context.Distance.AtMost(context.Graph.Scalar(sliding.Size - 1L))), null);
            case LengthScaledWindowConfig scaled:
                var reach = tensor(Enumerable.Range(0, context.Config.ContextLength).Select(position => scaled.KeysAt(position) - 1).ToArray());
                return (context.Visible.And(context.Distance.AtMost(context.Graph.Initializer($"{name}.window.reach", reach).Gather(context.Positions).Unsqueeze(1, 3))), null);
            case LearnedWindowConfig learned:
                var distance = context.Distance.To(ScalarType.Float32);
                var span = Spans(learned, x);                                                                   // [1, H, 1, 1] or [B, H, T, 1]
                var open = ((span - distance) * (1.0 / learned.Ramp) + 1.0).Clip(context.Graph.Scalar(0f), context.Graph.Scalar(1f));
                return (context.Visible.And(distance.AtMost(span + (double)learned.Ramp)), open);
            default:
                throw new InputException($"model.attention.window.kind: no ONNX graph is known for {config.Window.GetType().Name}");
        }
    }

    private Value Spans(LearnedWindowConfig learned, Value x)
    {
        if (learned is AdaptiveWindowConfig)
            return context.Graph.Initializer($"{name}.window.span", context.Weights.Numbers($"{name}.window.span").clamp(0, 1).view(1, -1, 1, 1) * learned.Maximum);
        var logits = context.Weights.Linear(x, $"{name}.window");                                                  // [B, T, H]
        return (logits.Apply("Sigmoid") * learned.Maximum).Transpose(0, 2, 1).Unsqueeze(3);
    }

    private Value MixWithFirst(Value v)
    {
        if (context.FirstValues is not { } first) return context.FirstValues = v;
        var mix = context.Weights.Numbers($"{name}.value_mix").data<float>().ToArray();
        return first * mix[0] + v * mix[1];
    }

    private Value Norm(Value x, string norm) =>
        NormGraph.Rms(x, context.Weights.Tensor($"{name}.{norm}.weight"), SoftmaxAttentionConfig.QueryKeyNormEpsilon);

    private Value Split(Value x, int n) => x.Reshape(0, 0, n, headWidth);                                      // [B, T, n D] to [B, T, n, D]

    private Value Join(Value x, int n) => x.Reshape(0, 0, n * headWidth);                                       // and back

    // Query heads that share keys and values stand side by side, so that a product serves them all: [B, H, T, n] to [B, G, H/G T, n].
    private Value Shared(Value x) => keyValueHeads == heads ? x : x.Reshape(0, keyValueHeads, -1, 0);
}
