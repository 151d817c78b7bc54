using Transformer.Configuration;

namespace Transformer.Onnx.Graph;

// B batch · T tokens · C width · E experts · K active experts of a token

/// <summary>What a block computes at each position by itself.</summary>
internal static class MlpGraph
{
    /// <param name="context">The weights.</param>
    /// <param name="x">[B, T, C]</param>
    /// <param name="config">Its kind.</param>
    /// <param name="name">The module's name.</param>
    /// <returns>[B, T, C]</returns>
    public static Value Mlp(GraphContext context, Value x, MlpConfig config, string name) => config switch
    {
        GeluMlpConfig => Plain(context, x, name, Gelu),
        GeluTanhMlpConfig => Plain(context, x, name, GeluTanh),
        ReluMlpConfig => Plain(context, x, name, h => h.Apply("Relu")),
        ReluSquaredMlpConfig => Plain(context, x, name, h => h.Apply("Relu") * h.Apply("Relu")),
        SwiGluMlpConfig => context.Weights.Linear(
            Silu(context.Weights.Linear(x, $"{name}.gate_proj")) * context.Weights.Linear(x, $"{name}.up_proj"), $"{name}.down_proj"),
        MixtureMlpConfig mixture => Mixture(context, x, mixture, name),
        _ => throw Kind.Unknown("model.mlp", config, "ONNX graph"),
    };

    /// <summary>x * sigmoid(x).</summary>
    public static Value Silu(Value x) => x.Graph.IsFused ? x.Graph.Microsoft("QuickGelu", [x], ("alpha", 1f)) : x * x.Apply("Sigmoid");

    private static Value Plain(GraphContext context, Value x, string name, Func<Value, Value> activation) =>
        context.Weights.Linear(activation(context.Weights.Linear(x, $"{name}.up_proj")), $"{name}.down_proj");

    // x Phi(x); the standard's operator Gelu is younger than the set that these graphs keep to.
    private static Value Gelu(Value x) =>
        x.Graph.IsFused ? x.Graph.Microsoft("Gelu", [x]) : x * 0.5 * ((x * Math.Sqrt(0.5)).Apply("Erf") + 1.0);

    private static Value GeluTanh(Value x) => x.Graph.IsFused
        ? x.Graph.Microsoft("FastGelu", [x])
        : x * 0.5 * (((x + x * x * x * 0.044715) * Math.Sqrt(2 / Math.PI)).Apply("Tanh") + 1.0);

    // Every expert sees every token, and those that a token does not take count zero: exact, and E / K times the work.
    private static Value Mixture(GraphContext context, Value x, MixtureMlpConfig mixture, string name)
    {
        var graph = context.Graph;
        var probabilities = context.Weights.Linear(x, $"{name}.gate").Softmax();                                   // [B, T, E]
        var found = graph.Nodes("TopK", [probabilities, graph.Vector(mixture.Active)], outputs: 2, domain: "");
        var (weights, chosen) = (found[0], found[1]);                                                           // 2 x [B, T, K]
        if (mixture.Active > 1) weights /= weights.Sum(-1);
        var shares = graph.Node("ScatterElements", [probabilities * 0.0, chosen, weights], ("axis", -1L));      // [B, T, E]
        return Enumerable.Range(0, mixture.Experts)
            .Select(e => shares.Slice(2, e, e + 1) * Mlp(context, x, mixture.Expert, $"{name}.experts.{e}"))
            .Aggregate((sum, y) => sum + y);                                                                    // [B, T, C]
    }
}
