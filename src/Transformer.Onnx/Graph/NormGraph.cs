using Transformer.Configuration;

namespace Transformer.Onnx.Graph;

// B batch · T tokens · C width

/// <summary>The kinds of normalisation.</summary>
internal static class NormGraph
{
    /// <summary>The norm of a configuration.</summary>
    /// <param name="context">The weights.</param>
    /// <param name="x">[..., C]</param>
    /// <param name="name">The module's name.</param>
    /// <returns>[..., C]</returns>
    public static Value Norm(GraphContext context, Value x, string name) => context.Config.Norm switch
    {
        RmsNormConfig rms => Rms(x, context.Weights.Tensor($"{name}.weight"), rms.Epsilon),
        LayerNormConfig layer => x.Graph.Node(
            "LayerNormalization", [x, .. WeightAndBias(context, layer, name)], ("axis", -1L), ("epsilon", (float)layer.Epsilon)),
        var other => throw Unknown(other),
    };

    /// <summary>What a stream adds up to, and the norm of that sum, which ONNX Runtime computes together.</summary>
    /// <param name="context">The weights.</param>
    /// <param name="stream">[B, T, C]</param>
    /// <param name="name">The module's name.</param>
    /// <returns>2 x [B, T, C]</returns>
    public static (Value Sum, Value Normed) Norm(GraphContext context, ResidualStream stream, string name)
    {
        if (context.Graph.IsFused && stream.Added is { } added)
        {
            return context.Config.Norm switch
            {
                RmsNormConfig rms => Skip(
                    stream.X, added, "SkipSimplifiedLayerNormalization", [context.Weights.Tensor($"{name}.weight")], rms.Epsilon),
                LayerNormConfig layer => Skip(
                    stream.X, added, "SkipLayerNormalization", WeightAndBias(context, layer, name), layer.Epsilon),
                var other => throw Unknown(other),
            };
        }
        var sum = stream.Sum();
        return (sum, Norm(context, sum, name));
    }

    /// <summary>x / sqrt(mean(x^2) + epsilon) * weight.</summary>
    public static Value Rms(Value x, Value weight, double epsilon) => x.Graph.IsFused
        ? x.Graph.Node("SimplifiedLayerNormalization", [x, weight], ("axis", -1L), ("epsilon", (float)epsilon))
        : x / ((x * x).Mean(-1) + epsilon).Apply("Sqrt") * weight;

    // Between the norm and the sum stand a mean and a deviation that nobody reads.
    private static (Value Sum, Value Normed) Skip(Value x, Value added, string op, Value[] weights, double epsilon)
    {
        var outputs = x.Graph.Nodes(op, [x, added, .. weights], outputs: 4, GraphBuilder.MicrosoftDomain, ("epsilon", (float)epsilon));
        return (outputs[3], outputs[0]);
    }

    private static Value[] WeightAndBias(GraphContext context, LayerNormConfig layer, string name)
    {
        var weight = context.Weights.Tensor($"{name}.weight");
        return layer.Bias ? [weight, context.Weights.Tensor($"{name}.bias")] : [weight];
    }

    private static InputException Unknown(NormConfig norm) => Kind.Unknown("model.norm", norm, "ONNX graph");
}
