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
        var pass = new Pass(graph, config, new GraphWeights(graph, weights, precision));
        graph.Scope = "/model";
        var stream = new ResidualStream(Embed(pass));                                                           // [B, T, C]
        if (config.Layers > 0) stream = Blocks(pass, stream);
        graph.Scope = "/model";
        var x = config.Residual.LastNorm ? NormGraph.Norm(pass, stream, "model.norm").Normed : stream.Sum();
        var logits = pass.Weights.Logits(x, config.TiedHead);                                                   // [B, T, V]
        if (config.Initialization is MupInitializationConfig mup) logits *= (double)mup.BaseWidth / config.Width;
        pass.Logits(logits);
        pass.Weights.CheckAllTaken();
        return graph;
    }

    private static Value Embed(Pass pass)
    {
        var x = pass.Weights.Tensor("model.embed_tokens.weight").Gather(pass.Ids);
        return pass.Config.Position switch
        {
            LearnedPositionConfig => x + pass.Weights.Tensor("model.embed_positions.weight").Gather(pass.Positions),
            SinusoidalPositionConfig => x + pass.Graph.Initializer("sinusoids", Sinusoids(pass.Config)).Gather(pass.Positions),
            NoPositionConfig or RotaryPositionConfig or ScoreBiasPositionConfig => x,
            var other => throw new InputException($"model.position.kind: no ONNX graph is known for {other.GetType().Name}"),
        };
    }

    private static Tensor Sinusoids(ModelConfig config)
    {
        using var position = new SinusoidalPosition(config.ContextLength, config.Width);
        return position.call(arange(config.ContextLength));                                                     // [context, C]
    }

    private static ResidualStream Blocks(Pass pass, ResidualStream stream)
    {
        stream = ResidualGraph.Open(pass, stream);
        for (var layer = 0; layer < pass.Config.Layers; layer++) stream = Block(pass, stream, layer);
        return ResidualGraph.Close(pass, stream);
    }

    private static ResidualStream Block(Pass pass, ResidualStream stream, int layer)
    {
        var name = $"model.layers.{layer}";
        var sandwich = pass.Config.Residual is SandwichResidualConfig;
        pass.Graph.Scope = $"/{name}/self_attn";
        stream = new ResidualGraph(pass, $"{name}.self_attn_residual", before: $"{name}.input_layernorm", after: $"{name}.post_attention_layernorm")
            .Apply(stream, x => Mixer(pass, x, layer, $"{name}.self_attn"));
        if (pass.Config.Mlp is NoMlpConfig) return stream;
        pass.Graph.Scope = $"/{name}/mlp";
        var before = sandwich ? "pre_feedforward_layernorm" : "post_attention_layernorm";
        return new ResidualGraph(pass, $"{name}.mlp_residual", $"{name}.{before}", after: $"{name}.post_feedforward_layernorm")
            .Apply(stream, x => MlpGraph.Mlp(pass, x, pass.Config.Mlp, $"{name}.mlp"));
    }

    private static Value Mixer(Pass pass, Value x, int layer, string name) => pass.Config.AttentionAt(layer) switch
    {
        SoftmaxAttentionConfig softmax => SoftmaxAttentionGraph.Mix(pass, x, softmax, layer, name),
        LinearAttentionConfig linear => LinearAttentionGraph.Mix(pass, x, linear, layer, name),
        ConvolutionConfig => ConvolutionGraph.Convolve(pass, x, $"{name}.conv1d", layer, "convolution"),
        var other => throw new InputException($"model.attention.kind: no ONNX graph is known for {other.GetType().Name}"),
    };
}
