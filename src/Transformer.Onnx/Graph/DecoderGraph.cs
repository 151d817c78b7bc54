using Transformer.Configuration;
using Transformer.Layers.Positions;
using static TorchSharp.torch;

namespace Transformer.Onnx.Graph;

// B batch · T tokens · C width · V vocabulary

/// <summary>A whole model as a graph, made from its configuration and its weights: token ids and state in, logits and state out.</summary>
internal static class DecoderGraph
{
    /// <summary>The graph of a model. Its weights are the caller's, or made in the caller's dispose scope.</summary>
    /// <exception cref="InputException">A part of the model has no graph; the message says which key it is.</exception>
    public static GraphBuilder Of(
        ModelConfig config, IReadOnlyDictionary<string, Tensor> weights, OnnxPrecision precision = OnnxPrecision.F32, OnnxOperators operators = OnnxOperators.Standard)
    {
        var graph = new GraphBuilder("decoder", operators);
        var context = new GraphContext(graph, config, new GraphWeights(graph, weights, precision));
        graph.Scope = "/model";
        var stream = new ResidualStream(Embed(context));                                                           // [B, T, C]
        if (config.Layers > 0) stream = Blocks(context, stream);
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
            var other => throw new InputException($"model.position.kind: no ONNX graph is known for {other.GetType().Name}"),
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
        for (var layer = 0; layer < context.Config.Layers; layer++) stream = Block(context, stream, layer);
        return ResidualGraph.Close(context, stream);
    }

    private static ResidualStream Block(GraphContext context, ResidualStream stream, int layer)
    {
        var name = $"model.layers.{layer}";
        var sandwich = context.Config.Residual is SandwichResidualConfig;
        context.Graph.Scope = $"/{name}/self_attn";
        stream = new ResidualGraph(context, $"{name}.self_attn_residual", before: $"{name}.input_layernorm", after: $"{name}.post_attention_layernorm")
            .Apply(stream, x => Mixer(context, x, layer, $"{name}.self_attn"));
        if (context.Config.Mlp is NoMlpConfig) return stream;
        context.Graph.Scope = $"/{name}/mlp";
        var before = sandwich ? "pre_feedforward_layernorm" : "post_attention_layernorm";
        return new ResidualGraph(context, $"{name}.mlp_residual", $"{name}.{before}", after: $"{name}.post_feedforward_layernorm")
            .Apply(stream, x => MlpGraph.Mlp(context, x, context.Config.Mlp, $"{name}.mlp"));
    }

    private static Value Mixer(GraphContext context, Value x, int layer, string name) => context.Config.AttentionAt(layer) switch
    {
        SoftmaxAttentionConfig softmax => SoftmaxAttentionGraph.Mix(context, x, softmax, layer, name),
        LinearAttentionConfig linear => LinearAttentionGraph.Mix(context, x, linear, layer, name),
        ConvolutionConfig => ConvolutionGraph.Convolve(context, x, $"{name}.conv1d", layer, "convolution"),
        var other => throw new InputException($"model.attention.kind: no ONNX graph is known for {other.GetType().Name}"),
    };
}
