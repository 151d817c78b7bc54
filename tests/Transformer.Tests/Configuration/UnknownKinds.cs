using Transformer.Configuration;

namespace Transformer.Tests.Configuration;

/// <summary>Models with a part of a kind that nothing is known for, by the key of that part.</summary>
internal static class UnknownKinds
{
    public static IReadOnlyDictionary<string, ModelConfig> Models { get; } = new Dictionary<string, ModelConfig>
    {
        ["model.attention"] = Tiny.Config with { Attention = new UnknownAttention() },
        ["model.mixers.other"] = Tiny.Config with
        {
            Attention = null,
            Mixers = new Dictionary<string, AttentionConfig> { ["known"] = Tiny.Config.Attention!, ["other"] = new UnknownAttention() },
            Pattern = ["known", "other"],
        },
        ["model.attention.window"] = Tiny.Config with
        {
            Attention = new SoftmaxAttentionConfig { Heads = 4, Window = new UnknownWindow() },
        },
        ["model.position"] = Tiny.Config with { Position = new UnknownPosition() },
        ["model.position.scaling"] = Tiny.Config with
        {
            Position = new RotaryPositionConfig { Scaling = new UnknownScaling { Factor = 2 } },
        },
        ["model.mlp"] = Tiny.Config with { Mlp = new UnknownMlp() },
        ["model.mlp.expert"] = Tiny.Config with { Mlp = Tiny.Mixture with { Expert = new UnknownMlp() } },
        ["model.norm"] = Tiny.Config with { Norm = new UnknownNorm() },
        ["model.residual"] = Tiny.Config with { Residual = new UnknownResidual() },
    };

    public static TheoryData<string> Keys => [.. Models.Keys];

    /// <summary>Hourglasses with a part of a kind that nothing is known for, by the key of that part.</summary>
    public static IReadOnlyDictionary<string, HourglassConfig> Hourglasses { get; } = new Dictionary<string, HourglassConfig>
    {
        ["pooling"] = new() { Shorten = 2, Layers = 1, Pooling = new UnknownPooling() },
        ["pooling.initial"] = new()
        {
            Shorten = 2,
            Layers = 1,
            Pooling = new AttentionPoolingConfig { Heads = 2, Initial = new UnknownPooling() }
        },
        ["upsampling"] = new() { Shorten = 2, Layers = 1, Upsampling = new UnknownUpsampling() },
        ["upsampling.initial"] = new()
        {
            Shorten = 2,
            Layers = 1,
            Upsampling = new AttentionUpsamplingConfig { Heads = 2, Initial = new UnknownUpsampling() }
        },
        ["boundaries"] = new() { Boundaries = new UnknownBoundaries(), Layers = 1 },
    };

    /// <summary>Ways to read pictures with a part of a kind that nothing is known for, by the key of that part.</summary>
    public static IReadOnlyDictionary<string, VisionConfig> Vision { get; } = new Dictionary<string, VisionConfig>
    {
        ["encoder.mlp"] = new PrefixVisionConfig { Encoder = new ImageEncoderConfig { Mlp = new UnknownMlp() } },
        ["encoder.mlp.expert"] = new PrefixVisionConfig
        {
            Encoder = new ImageEncoderConfig { Mlp = Tiny.Mixture with { Expert = new UnknownMlp() } }
        },
        ["encoder.norm"] = new PrefixVisionConfig { Encoder = new ImageEncoderConfig { Norm = new UnknownNorm() } },
        ["projector"] = new PrefixVisionConfig { Projector = new UnknownProjector() },
        ["projector.mlp"] = new GatedCrossAttentionConfig { Projector = new PerceiverResamplerConfig { Mlp = new UnknownMlp() } },
        ["mlp"] = new GatedCrossAttentionConfig { Mlp = new UnknownMlp() },
    };

    /// <summary>A position whose scores nobody knows, which another family is dispatched for.</summary>
    public static ModelConfig ScoreBias { get; } = Tiny.Config with { Position = new UnknownScoreBias() };
}

internal sealed record UnknownAttention : AttentionConfig
{
    public override IEnumerable<ConfigProblem> ProblemsAt(int width, PositionConfig position) => [];

    public override IEnumerable<ParameterSpec> Parameters(int width, bool mixesValues = false) => [];

    public override MixerCost CostAt(int width, bool mixesValues) => new(_ => 0, 0, 0, _ => 0);
}

internal sealed record UnknownWindow : WindowConfig
{
    public override long KeysAt(long position) => position + 1;
}

internal sealed record UnknownPosition : PositionConfig;

internal sealed record UnknownScoreBias : ScoreBiasPositionConfig;

internal sealed record UnknownScaling : RotaryScalingConfig
{
    public override double[] Frequencies(double theta, int headWidth, long length) => new double[headWidth / 2];
}

internal sealed record UnknownMlp : MlpConfig;

internal sealed record UnknownNorm : NormConfig;

internal sealed record UnknownResidual : ResidualConfig;

internal sealed record UnknownPooling : PoolingConfig
{
    internal override IEnumerable<ParameterSpec> Parameters(ModelConfig model, int shorten) => [];

    internal override (long OfTokens, long OfGroups) MatrixParameters(ModelConfig model, int shorten) => (0, 0);
}

internal sealed record UnknownUpsampling : UpsamplingConfig
{
    internal override IEnumerable<ParameterSpec> Parameters(ModelConfig model, int shorten) => [];

    internal override (long OfTokens, long OfGroups) MatrixParameters(ModelConfig model, int shorten) => (0, 0);
}

internal sealed record UnknownBoundaries : BoundaryConfig;

internal sealed record UnknownProjector : ProjectorConfig
{
    internal override IEnumerable<ParameterSpec> Parameters(ModelConfig encoder, int patches, int width) => [];
}

internal sealed record UnknownRule : LinearRule
{
    public override string Name => "unknown";

    public override LinearDecay Decay => (LinearDecay)(-1);
}
