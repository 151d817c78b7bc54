using Transformer.Configuration;

namespace Transformer.Onnx.Graph;

// n streams · B batch · T tokens · C width

/// <summary>How one sub-layer meets the residual stream: [B, T, C], for hyper-connections [B, T, n, C].</summary>
/// <param name="pass">The weights.</param>
/// <param name="name">The residual module's name.</param>
/// <param name="before">The name of the norm before the sub-layer, where the kind has one.</param>
/// <param name="after">The name of the norm behind it, where the kind has one.</param>
internal sealed class ResidualGraph(Pass pass, string name, string before, string after)
{
    /// <summary>The stream after a sub-layer.</summary>
    public Value Apply(Value stream, Func<Value, Value> sublayer) => pass.Config.Residual switch
    {
        PreNormResidualConfig => stream + sublayer(Norm(stream, before)),
        PostNormResidualConfig => Norm(stream + sublayer(stream), after),
        SandwichResidualConfig => stream + Norm(sublayer(Norm(stream, before)), after),
        DeepNormResidualConfig => Norm(stream * Math.Pow(2.0 * pass.Config.Layers, 0.25) + sublayer(stream), after),
        ReZeroResidualConfig => stream + sublayer(stream) * pass.Weights.Tensor($"{name}.alpha"),
        HyperConnectionsResidualConfig hyper => HyperConnections(stream, sublayer, hyper.Streams),
        var other => throw new InputException($"model.residual.kind: no ONNX graph is known for {other.GetType().Name}"),
    };

    /// <summary>The stream as the first block takes it.</summary>
    /// <param name="pass">The model.</param>
    /// <param name="x">[B, T, C]</param>
    public static Value Open(Pass pass, Value x) =>
        pass.Config.Residual is HyperConnectionsResidualConfig hyper ? x.Unsqueeze(2).Expand(1, 1, hyper.Streams, 1) : x;

    /// <summary>What the last block leaves: [B, T, C].</summary>
    public static Value Close(Pass pass, Value stream) => pass.Config.Residual is HyperConnectionsResidualConfig ? stream.Mean(2, keep: false) : stream;

    private Value HyperConnections(Value stream, Func<Value, Value> sublayer, int n)
    {
        var y = sublayer(Norm(Vector("input", 1, n).MatMul(stream).Squeeze(2), before));                        // [B, T, C]
        return Vector("mixing", n, n).MatMul(stream) + Vector("output", n, 1) * y.Unsqueeze(2);                 // [B, T, n, C]
    }

    private Value Vector(string part, params long[] shape) => pass.Graph.Initializer($"{name}.{part}", pass.Weights.Numbers($"{name}.{part}").view(shape));

    private Value Norm(Value x, string norm) => NormGraph.Norm(pass, x, norm);
}
