namespace Transformer.Configuration;

// T tokens · C width · F hidden width · V vocabulary · H heads · D head width · n streams

/// <summary>The parameters of a model by name and shape, from its configuration alone: what a file must hold before anything is read from it.</summary>
internal static class ParameterShapes
{
    /// <summary>All parameters of a model whose vocabulary size is known.</summary>
    public static IEnumerable<(string Name, long[] Shape)> Of(ModelConfig config)
    {
        long width = config.Width, vocabulary = config.VocabularySize ?? throw new ArgumentException("the vocabulary size is unknown", nameof(config));
        yield return ("model.embed_tokens.weight", [vocabulary, width]);
        foreach (var position in Positions(config)) yield return position;
        for (var layer = 0; layer < config.Layers; layer++)
            foreach (var (name, shape) in Block(config, layer)) yield return ($"model.layers.{layer}.{name}", shape);
        if (config.Residual.LastNorm)
            foreach (var norm in Norm(config, "model.norm")) yield return norm;
        if (!config.TiedHead) yield return ("lm_head.weight", [vocabulary, width]);
    }

    private static IEnumerable<(string, long[])> Positions(ModelConfig config)
    {
        var attention = config.SoftmaxMixers().FirstOrDefault();
        switch (config.Position)
        {
            case LearnedPositionConfig: yield return ("model.embed_positions.weight", [config.ContextLength, config.Width]); break;
            case T5PositionConfig t5 when attention is not null: yield return ("model.position_bias.relative_attention_bias.weight", [t5.Buckets, attention.Heads]); break;
            case RelativePositionConfig relative when attention is not null:
                yield return ("model.position_bias.distance_embedding.weight", [relative.Maximum + 1, attention.HeadWidthAt(config.Width)]);
                break;
        }
    }

    private static IEnumerable<(string, long[])> Block(ModelConfig config, int layer)
    {
        var mixer = config.AttentionAt(layer) switch
        {
            SoftmaxAttentionConfig softmax => Softmax(softmax, config.Width, mixesValues: config.ValueResidualLayers().Skip(1).Contains(layer)),
            LinearAttentionConfig linear => Linear(linear, config.Width),
            ConvolutionConfig convolution => [("conv1d.weight", [config.Width, 1, convolution.Tokens])],
            var other => throw new ArgumentOutOfRangeException(nameof(config), other, "no such attention"),
        };
        string[] residuals = config.Mlp is NoMlpConfig ? ["self_attn_residual"] : ["self_attn_residual", "mlp_residual"];
        return
        [
            .. mixer.Select(parameter => ($"self_attn.{parameter.Name}", parameter.Shape)),
            .. Mlp(config.Mlp, config.Width).Select(parameter => ($"mlp.{parameter.Name}", parameter.Shape)),
            .. BlockNorms(config).SelectMany(name => Norm(config, name)),
            .. residuals.SelectMany(name => Residual(config.Residual, name)),
        ];
    }

    private static IEnumerable<(string Name, long[] Shape)> Softmax(SoftmaxAttentionConfig config, int width, bool mixesValues)
    {
        var head = config.HeadWidthAt(width);
        long queries = config.Heads * head, keys = (config.KvHeads ?? config.Heads) * head;
        foreach (var parameter in Map("q_proj", queries, width, config.Bias)) yield return parameter;
        foreach (var parameter in Map("k_proj", keys, width, config.Bias)) yield return parameter;
        foreach (var parameter in Map("v_proj", keys, width, config.Bias)) yield return parameter;
        foreach (var parameter in Map("o_proj", width, queries, config.Bias)) yield return parameter;
        if (config.QueryKeyNorm) yield return ("q_norm.weight", [head]);
        if (config.QueryKeyNorm) yield return ("k_norm.weight", [head]);
        if (mixesValues) yield return ("value_mix", [2]);
        if (config.Window is AdaptiveWindowConfig) yield return ("window.span", [config.Heads]);
        if (config.Window is not DynamicWindowConfig) yield break;
        foreach (var parameter in Map("window", config.Heads, width, hasBias: true)) yield return parameter;
    }

    private static IEnumerable<(string Name, long[] Shape)> Linear(LinearAttentionConfig config, int width)
    {
        long heads = config.Heads, value = config.ValueWidthAt(width), keys = heads * config.HeadWidthAt(width), values = heads * value, rank = LinearAttentionConfig.GateRank;
        yield return ("q_proj.weight", [keys, width]);
        yield return ("k_proj.weight", [keys, width]);
        yield return ("v_proj.weight", [values, width]);
        yield return ("o_proj.weight", [width, values]);
        if (config.Convolution > 0)
        {
            yield return ("q_conv1d.weight", [keys, 1, config.Convolution]);
            yield return ("k_conv1d.weight", [keys, 1, config.Convolution]);
            yield return ("v_conv1d.weight", [values, 1, config.Convolution]);
        }
        if (config.HasBeta) yield return ("b_proj.weight", [heads, width]);
        if (config.HasStep)
        {
            yield return ("a_proj.weight", [heads, width]);
            yield return ("A_log", [heads]);
            yield return ("dt_bias", [heads]);
        }
        if (config.Rule is LinearRule.Gla)
            foreach (var parameter in Map("gk_proj.0", rank, width).Concat(Map("gk_proj.1", keys, rank, hasBias: true))) yield return parameter;
        if (config.IsOutputGated) yield return ("g_proj.weight", [values, width]);
        if (!config.IsNormalised) yield return ("o_norm.weight", [value]);
    }

    private static IEnumerable<(string Name, long[] Shape)> Mlp(MlpConfig config, int width)
    {
        if (config is NoMlpConfig) return [];
        if (config is MixtureMlpConfig mixture)
        {
            var experts = from expert in Enumerable.Range(0, mixture.Experts)
                          from parameter in Mlp(mixture.Expert, width)
                          select ($"experts.{expert}.{parameter.Name}", parameter.Shape);
            return [.. Map("gate", mixture.Experts, width), .. experts];
        }
        var hidden = config.HiddenAt(width);
        return
        [
            .. config is SwiGluMlpConfig ? Map("gate_proj", hidden, width, config.Bias) : [],
            .. Map("up_proj", hidden, width, config.Bias),
            .. Map("down_proj", width, hidden, config.Bias),
        ];
    }

    // The names of the norms as Block has them.
    private static string[] BlockNorms(ModelConfig config)
    {
        string[] names = config.Residual switch
        {
            PreNormResidualConfig or HyperConnectionsResidualConfig => ["input_layernorm", "post_attention_layernorm"],
            PostNormResidualConfig or DeepNormResidualConfig => ["post_attention_layernorm", "post_feedforward_layernorm"],
            SandwichResidualConfig => ["input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm", "post_feedforward_layernorm"],
            _ => [],
        };
        return config.Mlp is NoMlpConfig ? names[..(names.Length / 2)] : names;
    }

    private static IEnumerable<(string, long[])> Norm(ModelConfig config, string name)
    {
        yield return ($"{name}.weight", [config.Width]);
        if (config.Norm is LayerNormConfig { Bias: true }) yield return ($"{name}.bias", [config.Width]);
    }

    private static IEnumerable<(string, long[])> Residual(ResidualConfig config, string name) => config switch
    {
        ReZeroResidualConfig => [($"{name}.alpha", [1])],
        HyperConnectionsResidualConfig { Streams: var n } => [($"{name}.input", [n]), ($"{name}.mixing", [n * n]), ($"{name}.output", [n])],
        _ => [],
    };

    private static IEnumerable<(string Name, long[] Shape)> Map(string name, long outputs, long inputs, bool hasBias = false)
    {
        yield return ($"{name}.weight", [outputs, inputs]);
        if (hasBias) yield return ($"{name}.bias", [outputs]);
    }
}
