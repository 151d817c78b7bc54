using Transformer.Configuration;
using Transformer.Layers.Attention;
using static TorchSharp.torch;

namespace Transformer.Onnx.Graph;

// B batch · T tokens · C width · H heads · D head width · F feature width · E value width

/// <summary>
/// Linear attention and its relatives: the gates and projections of <see cref="LinearAttention"/> around the recurrence, token by token in
/// a Scan or in one operator.
/// </summary>
internal sealed class LinearAttentionGraph
{
    private readonly GraphContext context;
    private readonly LinearAttentionConfig config;
    private readonly LinearRule rule;
    private readonly int layer, heads, headWidth, featureWidth, valueWidth;
    private readonly string name;

    private LinearAttentionGraph(GraphContext context, LinearAttentionConfig config, int layer, string name)
    {
        (this.context, this.config, rule, this.layer, this.name, heads) = (context, config, config.Rule, layer, name, config.Heads);
        var width = context.Config.Width;
        (headWidth, featureWidth, valueWidth) = (config.HeadWidthAt(width), config.FeatureWidthAt(width), config.ValueWidthAt(width));
    }

    /// <param name="context">What layers share.</param>
    /// <param name="x">[B, T, C]</param>
    /// <param name="config">The rule, heads and options.</param>
    /// <param name="layer">The block.</param>
    /// <param name="name">The module's name.</param>
    /// <returns>[B, T, C]</returns>
    public static Value Mix(GraphContext context, Value x, LinearAttentionConfig config, int layer, string name) =>
        new LinearAttentionGraph(context, config, layer, name).Mix(x);

    private Value Mix(Value x)
    {
        var q = Features(Split(Project(x, "q"), headWidth));                                                    // [B, H, T, F]
        var k = Features(Split(Project(x, "k"), headWidth));                                                    // [B, H, T, F]
        var v = Split(Project(x, "v"), valueWidth);                                                             // [B, H, T, E]
        var beta = rule.IsDelta ? Beta(x) : null;                                                               // [B, H, T, 1]
        var (logDecay, step) = Decay(x);                                                                  // [B, H, T, 1 or F], [B, H, T, 1]
        if (step is not null) k *= step;
        if (!rule.IsNormalised) q *= 1 / Math.Sqrt(headWidth);
        var text = context.NewTokens.To(ScalarType.Float32).Unsqueeze(1, 3);                                       // [B, 1, T, 1]
        (k, logDecay) = (k * text, logDecay is null ? null : logDecay * text);    // padding writes nothing and lets nothing decay

        var normaliser = rule.IsNormalised ? Normaliser(q, k) : null;                                         // [B, H, T, 1]
        if (rule.TakesRotation && context.Rotation is { } rotation) (q, k) = (rotation.Apply(q), rotation.Apply(k));
        var o = context.Graph.IsFused ? Fused(q, k, v, logDecay, beta) : Recurrence(q, k, v, logDecay?.Apply("Exp"), beta);
        // [B, T, H, E]
        if (normaliser is not null) o /= normaliser.Transpose(0, 2, 1, 3);
        return context.Weights.Linear(Finish(o, x), $"{name}.o_proj");                                             // [B, T, C]
    }

    // S = alpha S; u = v, or beta (v - S^T k); S = S + k u^T; o = S^T q. A token's row stands before its product, so that the loop's body
    // has nothing to reshape.
    private Value Recurrence(Value q, Value k, Value v, Value? alpha, Value? beta)
    {
        var body = new GraphBuilder($"{name}.recurrence");
        var S = body.Input("state", ScalarType.Float32);                                                        // [B, H, F, E]
        var inputs = new List<Value> { context.State(layer, "recurrent", heads, featureWidth, valueWidth) };
        Value Each(string input, Value all)
        {
            inputs.Add(all);
            return body.Input(input, ScalarType.Float32);
        }

        var (qt, kt) = (Each("q", q.Unsqueeze(3)), Each("k", k.Unsqueeze(3)));                                  // 2 x [B, H, 1, F]
        var (u, column) = (Each("v", v.Unsqueeze(3)), Each("k_column", k.Unsqueeze(4)));                      // [B, H, 1, E], [B, H, F, 1]
        if (alpha is not null) S = Each("alpha", alpha.Unsqueeze(4)) * S;                                       // by [B, H, 1 or F, 1]
        if (beta is not null) u = Each("beta", beta.Unsqueeze(3)) * (u - kt.MatMul(S));
        S += column * u;
        S = body.Output("state_after", S, ScalarType.Float32);
        body.Output("o", qt.MatMul(S), ScalarType.Float32);                                                     // [B, H, 1, E]

        var (scanned, along) = (inputs.Count - 1, 2L);
        var outputs = context.Graph.Nodes(
            "Scan", inputs, outputs: 2, domain: "",
            ("body", body.Graph), ("num_scan_inputs", (long)scanned),
            ("scan_input_axes", Enumerable.Repeat(along, scanned).ToArray()), ("scan_output_axes", new[] { along }));
        context.Keep(layer, "recurrent", outputs[0], heads, featureWidth, valueWidth);
        return outputs[1].Squeeze(3).Transpose(0, 2, 1, 3);                                                     // [B, T, H, E]
    }

    // The same recurrence as ONNX Runtime's operator has it: heads side by side, decays as logarithms.
    private Value Fused(Value q, Value k, Value v, Value? logDecay, Value? beta)
    {
        var rule = (logDecay, beta) switch { (null, null) => "linear", (_, null) => "gated", (null, _) => "delta", _ => "gated_delta" };
        var outputs = context.Graph.Nodes(
            "LinearAttention",
            [
                Join(q), Join(k), Join(v), context.State(layer, "recurrent", heads, featureWidth, valueWidth),
                logDecay is null ? context.Graph.None : Join(logDecay), beta is null ? context.Graph.None : Join(beta),
            ],
            outputs: 2, GraphBuilder.MicrosoftDomain,
            ("update_rule", rule), ("q_num_heads", (long)heads), ("kv_num_heads", (long)heads), ("scale", 1f));
        context.Keep(layer, "recurrent", outputs[1], heads, featureWidth, valueWidth);
        return outputs[0].Reshape(0, 0, heads, valueWidth);                                                     // [B, T, H, E]
    }

    private Value Beta(Value x)
    {
        var beta = PerHead(context.Weights.Linear(x, $"{name}.b_proj")).Apply("Sigmoid");
        return config.GreatestBeta == 1 ? beta : beta * config.GreatestBeta;
    }

    private Value Normaliser(Value q, Value k)
    {
        const string part = "key_sum";
        var before = context.State(layer, part, heads, 1, featureWidth);                                           // [B, H, 1, F]
        context.Keep(layer, part, before + k.Sum(2), heads, 1, featureWidth);
        return (q * (k.CumulativeSum(2) + before)).Sum(-1) + LinearAttentionConfig.NormaliserEpsilon;
    }

    private Value Features(Value x) => rule.Features switch
    {
        LinearFeatures.Identity => x,
        LinearFeatures.UnitLength => x / ((x * x).Sum(-1) + LinearAttentionConfig.UnitEpsilon).Apply("Sqrt"),
        LinearFeatures.Elu => x.Apply("Elu") + 1.0,
        LinearFeatures.Dpfp => Dpfp(x, config.Shifts),
        LinearFeatures.Taylor => Taylor(x),
        var other => throw new InputException($"model.attention.rule: no ONNX graph is known for the features {other} of {rule}"),
    };

    // r_i r_{i+j} for shifts j = 1 .. nu of r = relu([x, -x]).
    private static Value Dpfp(Value x, int nu)
    {
        var r = x.Concat(-x, 3).Apply("Relu");                                                                  // [B, H, T, 2 D]
        var products = Enumerable.Range(1, nu).Select(j => r * r.Slice(3, j, long.MaxValue).Concat(r.Slice(3, 0, j), 3));
        return products.Aggregate((all, next) => all.Concat(next, 3));
    }

    // 1, x and x x^T / sqrt(2) of x / D^(1/4).
    private Value Taylor(Value x)
    {
        x *= Math.Pow(headWidth, -0.25);
        var squares = (x.Unsqueeze(4) * x.Unsqueeze(3)).Reshape(0, 0, 0, headWidth * headWidth) * Math.Sqrt(0.5);
        var one = x.Graph.Node("Pow", [x.Slice(3, 0, 1), x.Graph.Scalar(0f)]);
        return one.Concat(x, 3).Concat(squares, 3);
    }

    // The logarithm of the decay of each token and, for rules with a step in time, the length of that step.
    private (Value? LogDecay, Value? Step) Decay(Value x)
    {
        switch (rule.Decay)
        {
            case LinearDecay.None:
                return (null, null);
            case LinearDecay.Constant:
                return (context.Graph.Initializer($"{name}.retention", LinearAttention.Retention(heads, CPU)), null);
            case LinearDecay.Component:
                var gate = context.Weights.Linear(context.Weights.Linear(x, $"{name}.gk_proj.0"), $"{name}.gk_proj.1");
                return (Split((-gate).Apply("Softplus") * (-1 / LinearAttentionConfig.GateTemperature), headWidth), null);
            case LinearDecay.Step:
                var input = context.Weights.Linear(x, $"{name}.a_proj") + context.Weights.Tensor($"{name}.dt_bias");
                var step = PerHead(input.Apply("Softplus"));
                var rate = context.Graph.Initializer($"{name}.rate", -context.Weights.Numbers($"{name}.A_log").exp().view(-1, 1, 1));
                return (rate * step, rule.ScalesKeys ? step : null);
            default:
                throw new InputException($"model.attention.rule: no ONNX graph is known for the decay {rule.Decay} of {rule}");
        }
    }

    private Value Project(Value x, string part)
    {
        x = context.Weights.Linear(x, $"{name}.{part}_proj");
        if (config.Convolution > 0) x = ConvolutionGraph.Convolve(context, x, $"{name}.{part}_conv1d", layer, $"{part}_convolution");
        return rule.HasConvolution ? MlpGraph.Silu(x) : x;
    }

    private Value Finish(Value o, Value x)
    {
        if (!rule.IsNormalised)
            o = NormGraph.Rms(o, context.Weights.Tensor($"{name}.o_norm.weight"), LinearAttentionConfig.NormEpsilon);   // [B, T, H, E]
        o = o.Reshape(0, 0, heads * valueWidth);                                                                // [B, T, H E]
        return config.IsOutputGated ? o * MlpGraph.Silu(context.Weights.Linear(x, $"{name}.g_proj")) : o;
    }

    private Value Split(Value x, int n) => x.Reshape(0, 0, heads, n).Transpose(0, 2, 1, 3);                  // [B, T, H n] to [B, H, T, n]

    private static Value Join(Value x) => x.Transpose(0, 2, 1, 3).Reshape(0, 0, -1);                         // [B, H, T, n] to [B, T, H n]

    private static Value PerHead(Value x) => x.Transpose(0, 2, 1).Unsqueeze(3);                                 // [B, T, H] to [B, H, T, 1]
}
