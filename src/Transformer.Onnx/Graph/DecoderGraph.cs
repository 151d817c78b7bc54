using Transformer.Configuration;
using Transformer.Layers.Positions;
using static TorchSharp.torch;

namespace Transformer.Onnx.Graph;

// B batch · T tokens · C width · V vocabulary

/// <summary>A whole model as a graph, made from its configuration and its weights: token ids and state in, logits and state out.</summary>
internal static class DecoderGraph
{
    private static readonly KnownKinds Known = new(
        "the ONNX graphs",
        typeof(SoftmaxAttentionConfig), typeof(LinearAttentionConfig), typeof(ConvolutionConfig),
        typeof(FullWindowConfig), typeof(SlidingWindowConfig), typeof(LengthScaledWindowConfig),
        typeof(AdaptiveWindowConfig), typeof(DynamicWindowConfig),
        typeof(NoPositionConfig), typeof(LearnedPositionConfig), typeof(SinusoidalPositionConfig), typeof(RotaryPositionConfig),
        typeof(AlibiPositionConfig), typeof(T5PositionConfig), typeof(RelativePositionConfig),
        typeof(LinearScalingConfig), typeof(NtkScalingConfig), typeof(DynamicNtkScalingConfig),
        typeof(YarnScalingConfig), typeof(Llama3ScalingConfig),
        typeof(GeluMlpConfig), typeof(GeluTanhMlpConfig), typeof(ReluMlpConfig), typeof(ReluSquaredMlpConfig), typeof(SwiGluMlpConfig),
        typeof(MixtureMlpConfig), typeof(NoMlpConfig),
        typeof(LayerNormConfig), typeof(RmsNormConfig),
        typeof(PreNormResidualConfig), typeof(PostNormResidualConfig), typeof(SandwichResidualConfig),
        typeof(DeepNormResidualConfig), typeof(ReZeroResidualConfig), typeof(HyperConnectionsResidualConfig));

    /// <summary>Whether there is a graph of every part of a model, before anything is written.</summary>
    /// <returns>Null where there is; else the reason: the key, what is known and what was found.</returns>
    public static string? Supports(ModelConfig model) => Known.ObstacleTo(model);

    /// <summary>The graph of a model. Its weights are the caller's, or made in the caller's dispose scope.</summary>
    /// <exception cref="InputException">A part of the model has no graph; the message says which key it is.</exception>
    public static GraphBuilder Of(
        ModelConfig config, IReadOnlyDictionary<string, Tensor> weights,
        OnnxPrecision precision = OnnxPrecision.F32, OnnxOperators operators = OnnxOperators.Standard)
    {
        if (Supports(config) is { } reason) throw new InputException(reason);
        var graph = new GraphBuilder("decoder", operators);
        var context = new GraphContext(graph, config, new GraphWeights(graph, weights, precision));
        graph.Scope = "/model";
        var stream = new ResidualStream(Embed(context));                                                           // [B, T, C]
        if (config.Layers.Blocks > 0) stream = Blocks(context, stream);
        graph.Scope = "/model";
        var x = config.Residual.LastNorm ? NormGraph.Norm(context, stream, "model.norm").Normed : stream.Sum();
        var logits = context.Weights.Logits(x, config.TiedHead);                                                   // [B, T, V]
        if (config.LogitScale is var scale and not 1) logits *= scale;
        context.Logits(logits);
        context.Weights.CheckAllTaken();
        return graph;
    }

    private static Value Embed(GraphContext context)
    {
        var x = context.Weights.Tensor("model.embed_tokens.weight").Gather(context.Ids);
        return context.Config.Position switch
        {
            LearnedPositionConfig => x + context.Weights.Tensor("model.embed_positions.weight").Gather(context.Positions),
            SinusoidalPositionConfig => x + context.Graph.Initializer("sinusoids", Sinusoids(context.Config)).Gather(context.Positions),
            NoPositionConfig or RotaryPositionConfig or ScoreBiasPositionConfig => x,
            var other => throw Kind.Unknown("model.position", other, "ONNX graph"),
        };
    }

    private static Tensor Sinusoids(ModelConfig config)
    {
        using var position = new SinusoidalPosition(config.ContextLength, config.Width);
        return position.call(arange(config.ContextLength));                                                     // [context, C]
    }

    private static ResidualStream Blocks(GraphContext context, ResidualStream stream)
    {
        stream = ResidualGraph.Open(context, stream);
        foreach (var block in context.Config.Blocks())
            foreach (var sublayer in block.Sublayers) stream = Sublayer(context, stream, block, sublayer);
        return ResidualGraph.Close(context, stream);
    }

    private static ResidualStream Sublayer(GraphContext context, ResidualStream stream, BlockSpec block, SublayerSpec sublayer)
    {
        var name = $"{block.Path}.{sublayer.Name}";
        context.Graph.Scope = $"/{block.Path}/{sublayer.Name}";
        return new ResidualGraph(context, block, sublayer).Apply(stream, x => sublayer.Name switch
        {
            SublayerSpec.Mixer => Mixer(context, x, block, name),
            SublayerSpec.FeedForward => MlpGraph.Mlp(context, x, block.Mlp, name),
            var other => throw new ArgumentOutOfRangeException(nameof(sublayer), other, "no such sub-layer"),
        });
    }

    private static Value Mixer(GraphContext context, Value x, BlockSpec block, string name) => block.Mixer switch
    {
        SoftmaxAttentionConfig softmax => SoftmaxAttentionGraph.Mix(context, x, softmax, block.Depth, name),
        LinearAttentionConfig linear => LinearAttentionGraph.Mix(context, x, linear, block.Depth, name),
        ConvolutionConfig => ConvolutionGraph.Convolve(context, x, $"{name}.conv1d", block.Depth, "convolution"),
        var other => throw Kind.Unknown("model.attention", other, "ONNX graph"),
    };
}
