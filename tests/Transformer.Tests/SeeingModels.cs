using Transformer.Configuration;

namespace Transformer.Tests;

/// <summary>Those of <see cref="Tiny"/> that read pictures.</summary>
internal static class SeeingModels
{
    /// <summary>Models that read pictures of 8 x 8 pixels beside text.</summary>
    public static IReadOnlyDictionary<string, ModelConfig> All => new Dictionary<string, ModelConfig>
    {
        ["prefix"] = Tiny.Config with { Vision = Vision(new PrefixVisionConfig()) },
        ["prefix, overlapping patches and mlp"] = Tiny.Config with
        {
            Vision = Vision(new PrefixVisionConfig()) with
            {
                Stride = 2,
                Encoder = new()
                {
                    Layers = 1,
                    Width = 12,
                    Heads = 3,
                    Bias = true,
                    Mlp = new SwiGluMlpConfig(),
                    Norm = new LayerNormConfig(),
                },
                Projector = new PixelShuffleProjectorConfig { Factor = 3, Bias = true },
            },
            Position = Tiny.Positions["learned"],
            Residual = Tiny.Residuals["hyper_connections"],
        },
        ["prefix of a stem and resampler"] = Tiny.Config with
        {
            Vision = Vision(new PrefixVisionConfig()) with
            {
                Stem = new() { Channels = [4, 6] },
                Patch = 1,
                Encoder = new() { Layers = 1, Width = 8, Heads = 2, Positions = GridPositions.Table },
                Projector = new PerceiverResamplerConfig { Latents = 3, Layers = 2, Heads = 2 },
            },
            Layers = [1, new HourglassConfig { Shorten = 2, Layers = 1 }, 1],
        },
        ["prefix under learned windows and boundaries"] = Tiny.Config with
        {
            Vision = Vision(new PrefixVisionConfig()),
            Attention = new SoftmaxAttentionConfig { Heads = 4, Window = Tiny.Windows["dynamic"] },
            Layers = [1, new HourglassConfig { Boundaries = new LearnedBoundariesConfig { Rate = 0.4, Hidden = 8 }, Layers = 1 }, 1],
        },
        ["gated_cross_attention"] = Tiny.Config with { Vision = Vision(new GatedCrossAttentionConfig()) },
        ["gated_cross_attention before every second block"] = Tiny.Config with
        {
            Layers = [3, new HourglassConfig { Shorten = 2, Layers = 1 }],
            Vision = Vision(new GatedCrossAttentionConfig { Every = 2, Heads = 2, HeadWidth = 6, Mlp = new SwiGluMlpConfig() }) with
            {
                Encoder = new() { Layers = 0 },
                Projector = new MlpProjectorConfig(),
            },
            Residual = Tiny.Residuals["rezero"],
            Attention = new SoftmaxAttentionConfig { Heads = 4, Window = Tiny.Windows["sliding 3"] },
        },
        ["gated_cross_attention over gated_delta and value residuals"] = Tiny.Config with
        {
            Layers = 3,
            Attention = null,
            Mixers = new Dictionary<string, AttentionConfig>
            {
                ["local"] = Tiny.Linear["gated_delta"],
                ["global"] = new SoftmaxAttentionConfig { Heads = 4, ValueResidual = true },
            },
            Pattern = ["global", "local", "global"],
            Vision = Vision(new GatedCrossAttentionConfig()) with { Projector = new PerceiverResamplerConfig { Latents = 2, Heads = 2 } },
            Residual = Tiny.Residuals["post_norm"],
        },
    };

    private static T Vision<T>(T vision) where T : VisionConfig => vision with { Image = new() { Size = 8 }, Patch = 4 };
}
