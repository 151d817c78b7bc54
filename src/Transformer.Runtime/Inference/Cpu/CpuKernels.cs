using Transformer.Configuration;

namespace Transformer.Inference.Cpu;

/// <summary>What the kernels of this folder compute.</summary>
public static class CpuKernels
{
    private static readonly KnownKinds Known = new(
        "the CPU kernels",
        [
            .. MixerInference.Known,
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
            typeof(RecurrentMemoryConfig), typeof(AssociativeMemoryConfig),
            typeof(HourglassConfig), typeof(AveragePoolingConfig), typeof(LinearPoolingConfig), typeof(AttentionPoolingConfig),
            typeof(RepeatUpsamplingConfig), typeof(LinearUpsamplingConfig), typeof(AttentionUpsamplingConfig),
            typeof(WhiteSpaceBoundariesConfig), typeof(LearnedBoundariesConfig), typeof(EntropyBoundariesConfig),
            typeof(PieceBoundariesConfig),
            typeof(PrefixVisionConfig), typeof(GatedCrossAttentionConfig),
            typeof(LinearProjectorConfig), typeof(MlpProjectorConfig), typeof(PixelShuffleProjectorConfig),
            typeof(PerceiverResamplerConfig),
            typeof(DeepNormResidualConfig), typeof(ReZeroResidualConfig), typeof(HyperConnectionsResidualConfig),
        ]);

    /// <summary>Whether the kernels compute every part of a model, before anything is read or computed.</summary>
    /// <returns>Null where they do; else the reason: the key, what they know and what was found.</returns>
    public static string? Supports(ModelConfig model) => Known.ObstacleTo(model) ?? UnknownRule(model);

    /// <summary>
    /// What to say in one line where libtorch generates because the kernels do not compute a part of the model; else null.
    /// </summary>
    public static string? FallbackNote(ModelConfig model) =>
        Supports(model) is { } reason ? $"Generating by libtorch, which is slower: {reason}." : null;

    private static string? UnknownRule(ModelConfig model)
    {
        foreach (var (path, mixer) in model.MixersByPath())
        {
            if (mixer is LinearAttentionConfig { Rule: var rule } && !LinearKernel.Supports(rule))
                return $"{path}.rule: the CPU kernels do not know {rule.Name}";
        }
        return null;
    }
}
