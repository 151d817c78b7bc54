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
            .. config.Blocks().SelectMany(block => Of(config, block)),
            .. config.Residual.LastNorm ? Of(ModelComponent.Norms, "model.norm", config.Norm.Parameters(config.Width)) : [],
            .. config.TiedHead
                ? []
                : Of(ModelComponent.Head, "lm_head", [ParameterSpec.Matrix("weight", vocabulary, config.Width, MatrixRole.Head)]),
        ];
    }

    private static IEnumerable<ParameterSpec> Of(ModelConfig config, BlockSpec block)
    {
        IEnumerable<ParameterSpec> parameters =
        [
            .. block.Sublayers.SelectMany(Sublayer),
            .. Of(ModelComponent.Memory, BlockSpec.Memory, config.Memory?.BlockParameters(config.Width) ?? []),
            .. block.Sublayers.SelectMany(sublayer => Of(ModelComponent.Residuals, sublayer.Residual, config.Residual.Parameters())),
        ];
        return parameters.Select(parameter => parameter.Within(block.Path) with { Block = block });

        IEnumerable<ParameterSpec> Sublayer(SublayerSpec sublayer) =>
            [.. Norm(sublayer.NormBefore), .. Function(sublayer), .. Norm(sublayer.NormAfter)];

        IEnumerable<ParameterSpec> Function(SublayerSpec sublayer) => sublayer.Name switch
        {
            SublayerSpec.Mixer => Of(ModelComponent.Attention, sublayer.Name, block.Mixer.Parameters(config.Width, block.MixesValues)),
            SublayerSpec.FeedForward => Of(ModelComponent.Mlp, sublayer.Name, block.Mlp.Parameters(config.Width)),
            var other => throw new ArgumentOutOfRangeException(nameof(sublayer), other, "no such sub-layer"),
        };

        IEnumerable<ParameterSpec> Norm(string? name) =>
            name is null ? [] : Of(ModelComponent.Norms, name, config.Norm.Parameters(config.Width));
    }

    private static IEnumerable<ParameterSpec> Of(ModelComponent component, string module, IEnumerable<ParameterSpec> parameters) =>
        parameters.Select(parameter => parameter.Within(module) with { Component = component });
}
