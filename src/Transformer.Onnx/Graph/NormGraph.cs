using Transformer.Configuration;

namespace Transformer.Onnx.Graph;

// C width

/// <summary>The kinds of normalisation.</summary>
internal static class NormGraph
{
    /// <summary>The norm of a configuration.</summary>
    /// <param name="pass">The weights.</param>
    /// <param name="x">[..., C]</param>
    /// <param name="name">The module's name.</param>
    /// <returns>[..., C]</returns>
    public static Value Norm(Pass pass, Value x, string name) => pass.Config.Norm switch
    {
        RmsNormConfig rms => Rms(x, pass.Weights.Tensor($"{name}.weight"), rms.Epsilon),
        LayerNormConfig layer => Layer(x, pass.Weights, name, layer),
        var other => throw new InputException($"model.norm.kind: no ONNX graph is known for {other.GetType().Name}"),
    };

    /// <summary>x / sqrt(mean(x^2) + epsilon) * weight.</summary>
    public static Value Rms(Value x, Value weight, double epsilon) => x / ((x * x).Mean(-1) + epsilon).Apply("Sqrt") * weight;

    private static Value Layer(Value x, GraphWeights weights, string name, LayerNormConfig layer)
    {
        Value[] inputs = layer.Bias
            ? [x, weights.Tensor($"{name}.weight"), weights.Tensor($"{name}.bias")]
            : [x, weights.Tensor($"{name}.weight")];
        return x.Graph.Node("LayerNormalization", inputs, ("axis", -1L), ("epsilon", (float)layer.Epsilon));
    }
}
