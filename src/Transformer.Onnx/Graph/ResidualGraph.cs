using Transformer.Configuration;

namespace Transformer.Onnx.Graph;

// n streams · B batch · T tokens · C width

/// <summary>How one sub-layer meets the residual stream: [B, T, C], for hyper-connections [B, T, n, C].</summary>
/// <param name="context">The weights.</param>
/// <param name="name">The residual module's name.</param>
/// <param name="before">The name of the norm before the sub-layer, where the kind has one.</param>
/// <param name="after">The name of the norm behind it, where the kind has one.</param>
internal sealed class ResidualGraph(GraphContext context, string name, string before, string after)
{
    /// <summary>The stream after a sub-layer.</summary>
    public ResidualStream Apply(ResidualStream stream, Func<Value, Value> sublayer) => context.Config.Residual switch
    {
        PreNormResidualConfig => PreNorm(stream, sublayer),
        PostNormResidualConfig => PostNorm(stream.Sum(), sublayer, 1),
        SandwichResidualConfig => PreNorm(stream, x => NormGraph.Norm(context, sublayer(x), after)),
        DeepNormResidualConfig => PostNorm(stream.Sum(), sublayer, DeepNormResidualConfig.Alpha(context.Config.Layers)),
        ReZeroResidualConfig => ReZero(stream.Sum(), sublayer),
        HyperConnectionsResidualConfig hyper => HyperConnections(stream.Sum(), sublayer, hyper.Streams),
        var other => throw new InputException($"model.residual.kind: no ONNX graph is known for {other.GetType().Name}"),
    };

    /// <summary>The stream as the first block takes it.</summary>
    /// <param name="context">The model.</param>
    /// <param name="embedded">[B, T, C]</param>
    public static ResidualStream Open(GraphContext context, ResidualStream embedded) =>
        context.Config.Residual is HyperConnectionsResidualConfig hyper ? new(embedded.Sum().Unsqueeze(2).Expand(1, 1, hyper.Streams, 1)) : embedded;

    /// <summary>What the last block leaves: [B, T, C].</summary>
    public static ResidualStream Close(GraphContext context, ResidualStream stream) =>
        context.Config.Residual is HyperConnectionsResidualConfig ? new(stream.Sum().Mean(2, keep: false)) : stream;

    private ResidualStream PreNorm(ResidualStream stream, Func<Value, Value> sublayer)
    {
        var (sum, x) = NormGraph.Norm(context, stream, before);
        return new(sum, sublayer(x));
    }

    private ResidualStream PostNorm(Value x, Func<Value, Value> sublayer, double scale) =>
        new(NormGraph.Norm(context, new ResidualStream(scale == 1 ? x : x * scale, sublayer(x)), after).Normed);

    private ResidualStream ReZero(Value x, Func<Value, Value> sublayer) => new(x, sublayer(x) * context.Weights.Tensor($"{name}.alpha"));

    private ResidualStream HyperConnections(Value stream, Func<Value, Value> sublayer, int n)
    {
        var x = Vector("input", 1, n).MatMul(stream).Squeeze(2);                                                // [B, T, C]
        var y = sublayer(NormGraph.Norm(context, x, before));                                                      // [B, T, C]
        return new(Vector("mixing", n, n).MatMul(stream), Vector("output", n, 1) * y.Unsqueeze(2));             // 2 x [B, T, n, C]
    }

    private Value Vector(string part, params long[] shape) => context.Graph.Initializer($"{name}.{part}", context.Weights.Numbers($"{name}.{part}").view(shape));
}
