using Transformer.Configuration;

namespace Transformer.Onnx.Graph;

// n streams · B batch · T tokens · C width

/// <summary>How one sub-layer joins the residual stream: [B, T, C], for hyper-connections [B, T, n, C].</summary>
/// <param name="context">The weights.</param>
/// <param name="block">The block.</param>
/// <param name="sublayer">The sub-layer.</param>
internal sealed class ResidualGraph(GraphContext context, BlockSpec block, SublayerSpec sublayer)
{
    /// <summary>The stream after a sub-layer.</summary>
    public ResidualStream Apply(ResidualStream stream, Func<Value, Value> function) => context.Config.Residual switch
    {
        PreNormResidualConfig => PreNorm(stream, function),
        PostNormResidualConfig => PostNorm(stream.Sum(), function, 1),
        SandwichResidualConfig => PreNorm(stream, x => NormGraph.Norm(context, function(x), After)),
        DeepNormResidualConfig => PostNorm(stream.Sum(), function, DeepNormResidualConfig.Alpha(context.Config.Layers.Blocks)),
        ReZeroResidualConfig => ReZero(stream.Sum(), function),
        HyperConnectionsResidualConfig hyper => HyperConnections(stream.Sum(), function, hyper.Streams),
        var other => throw Kind.Unknown("model.residual", other, "ONNX graph"),
    };

    /// <summary>The stream as the first block takes it.</summary>
    /// <param name="context">The model.</param>
    /// <param name="embedded">[B, T, C]</param>
    public static ResidualStream Open(GraphContext context, ResidualStream embedded) =>
        context.Config.Residual is HyperConnectionsResidualConfig hyper
            ? new(embedded.Sum().Unsqueeze(2).Expand(1, 1, hyper.Streams, 1))
            : embedded;

    /// <summary>What the last block leaves: [B, T, C].</summary>
    public static ResidualStream Close(GraphContext context, ResidualStream stream) =>
        context.Config.Residual is HyperConnectionsResidualConfig ? new(stream.Sum().Mean(2, keep: false)) : stream;

    private string Before => $"{block.Path}.{sublayer.NormBefore}";

    private string After => $"{block.Path}.{sublayer.NormAfter}";

    private ResidualStream PreNorm(ResidualStream stream, Func<Value, Value> function)
    {
        var (sum, x) = NormGraph.Norm(context, stream, Before);
        return new(sum, function(x));
    }

    private ResidualStream PostNorm(Value x, Func<Value, Value> function, double scale) =>
        new(NormGraph.Norm(context, new ResidualStream(scale == 1 ? x : x * scale, function(x)), After).Normed);

    private ResidualStream ReZero(Value x, Func<Value, Value> function) =>
        new(x, function(x) * context.Weights.Tensor($"{block.Path}.{sublayer.Residual}.alpha"));

    private ResidualStream HyperConnections(Value stream, Func<Value, Value> function, int n)
    {
        var x = Vector("input", 1, n).MatMul(stream).Squeeze(2);                                                // [B, T, C]
        var y = function(NormGraph.Norm(context, x, Before));                                                   // [B, T, C]
        return new(Vector("mixing", n, n).MatMul(stream), Vector("output", n, 1) * y.Unsqueeze(2));             // 2 x [B, T, n, C]
    }

    private Value Vector(string part, params long[] shape)
    {
        var name = $"{block.Path}.{sublayer.Residual}.{part}";
        return context.Graph.Initializer(name, context.Weights.Numbers(name).view(shape));
    }
}
