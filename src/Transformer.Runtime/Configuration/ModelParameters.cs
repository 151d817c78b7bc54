namespace Transformer.Configuration;

/// <summary>
/// The parameters of a model, from the embedding to the head: those of the layers' config records behind the paths of their modules.
/// </summary>
internal static class ModelParameters
{
    /// <summary>All parameters of a model whose vocabulary size is known, in the order in which they are drawn.</summary>
    /// <exception cref="ArgumentException">The vocabulary size is unknown.</exception>
    public static IEnumerable<ParameterSpec> Of(ModelConfig config)
    {
        var vocabulary = config.VocabularySize ?? throw new ArgumentException("the vocabulary size is unknown", nameof(config));
        return
        [
            ParameterSpec.Matrix("model.embed_tokens.weight", vocabulary, config.Width, MatrixRole.Embedding),
            .. Of(ModelComponent.Positions, "model", config.Position.Parameters(config)),
            .. config.Memory is { } memory
                ? [memory.TokensAt(config.Width) with { Component = ModelComponent.Memory }]
                : (ParameterSpec[])[],
            .. config.Vision is { } vision ? OfVision(config, vision) : [],
            .. OfNodes(config),
            .. config.Residual.LastNorm ? Of(ModelComponent.Norms, "model.norm", config.Norm.Parameters(config.Width)) : [],
            .. config.TiedHead
                ? []
                : Of(ModelComponent.Head, "lm_head", [ParameterSpec.Matrix("weight", vocabulary, config.Width, MatrixRole.Head)]),
        ];
    }

    /// <summary>The parameters of the blocks and hourglasses of a model.</summary>
    public static IEnumerable<ParameterSpec> OfNodes(ModelConfig config) => config.Nodes().SelectMany(node => Of(config, node));

    // Every rank has all of them.
    private static IEnumerable<ParameterSpec> OfVision(ModelConfig config, VisionConfig vision) =>
        Of(ModelComponent.Vision, VisionConfig.Module, vision.Parameters(config))
            .Select(parameter => parameter with { SplitDimension = null, IsPartial = false });

    /// <summary>The parameters of a list of sub-layers, named relative to their block.</summary>
    /// <param name="config">The model: its norms, its residual and its memory.</param>
    /// <param name="sublayers">The sub-layers.</param>
    /// <param name="mlp">The feed-forward layer.</param>
    /// <param name="mixer">The parameters of the sub-layer that moves information, named relative to it.</param>
    /// <param name="memory">What the block learns for the model's memory.</param>
    public static IEnumerable<ParameterSpec> Of(
        ModelConfig config, IReadOnlyList<SublayerSpec> sublayers, MlpConfig mlp, IEnumerable<ParameterSpec> mixer,
        IEnumerable<ParameterSpec>? memory = null)
    {
        return
        [
            .. sublayers.SelectMany(Sublayer),
            .. Of(ModelComponent.Memory, BlockSpec.Memory, memory ?? []),
            .. sublayers.SelectMany(sublayer =>
                Of(ModelComponent.Residuals, sublayer.Residual, sublayer.ResidualParameters(config))),
        ];

        IEnumerable<ParameterSpec> Sublayer(SublayerSpec sublayer) =>
            [.. Norm(sublayer.NormBefore), .. Function(sublayer), .. Norm(sublayer.NormAfter)];

        IEnumerable<ParameterSpec> Function(SublayerSpec sublayer) => (sublayer.Name, sublayer.IsGated, config.Vision) switch
        {
            (SublayerSpec.CrossAttention, true, GatedCrossAttentionConfig cross) =>
                cross.AttentionParameters(config.Width).Select(parameter => parameter.Within(sublayer.Name)),
            (SublayerSpec.CrossFeedForward, _, GatedCrossAttentionConfig cross) =>
                Of(ModelComponent.Mlp, sublayer.Name, cross.Mlp.Parameters(config.Width)),
            (SublayerSpec.FeedForward, _, _) => Of(ModelComponent.Mlp, sublayer.Name, mlp.Parameters(config.Width)),
            _ => Of(ModelComponent.Attention, sublayer.Name, mixer),
        };

        IEnumerable<ParameterSpec> Norm(string? name) =>
            name is null ? [] : Of(ModelComponent.Norms, name, config.Norm.Parameters(config.Width));
    }

    private static IEnumerable<ParameterSpec> Of(ModelConfig config, StackNode node) => node switch
    {
        BlockSpec block => Of(
            config, block.Sublayers, block.Mlp, block.Mixer.Parameters(config.Width, block.MixesValues),
            config.Memory?.BlockParameters(config.Width))
            .Select(parameter => parameter.Within(block.Path) with { Block = block }),
        HourglassSpec hourglass =>
        [
            .. Of(ModelComponent.Hourglasses, hourglass.Path, hourglass.Config.ParametersBefore(config)),
            .. hourglass.Layers.SelectMany(inner => Of(config, inner)),
            .. Of(ModelComponent.Hourglasses, hourglass.Path, hourglass.Config.ParametersAfter(config)),
        ],
        _ => throw new ArgumentOutOfRangeException(nameof(node), node, "no such part of a stack"),
    };

    private static IEnumerable<ParameterSpec> Of(ModelComponent component, string module, IEnumerable<ParameterSpec> parameters) =>
        parameters.Select(parameter => parameter.Within(module) with { Component = component });
}
