using Transformer.Configuration;
using Transformer.Inference;
using Transformer.Model;
using static TorchSharp.torch;

namespace Transformer.Tests.Inference.Cpu.Vision;

/// <summary>Small models that read pictures of a few pixels, with every projector, stem and kind of positions.</summary>
internal static class VisionCases
{
    private static readonly PrefixVisionConfig Plain = new()
    {
        Image = new ImageConfig { Size = 12 },
        Patch = 4,
        Encoder = new ImageEncoderConfig { Layers = 1, Heads = 2 }
    };

    private static readonly ModelConfig Text = Tiny.Config with { ContextLength = 96 };

    /// <summary>
    /// Texts in which a number below 0 is a picture: none, one at the beginning, in the middle and at the end, several, one again, one
    /// behind another.
    /// </summary>
    public static IReadOnlyList<int[]> Texts { get; } =
    [
        [5, 1, 7, 2, 4, 9], [-1, 3, 8, 2], [6, 4, -2, 1, 1, 12], [2, 9, 3, -3], [7, -1, 2, 4, -2, 8, 1, -1, 5, 0], [4, -3, -1, 11, 2, 6],
    ];

    /// <summary>How pictures are encoded: prefixes, of which the models that read by cross-attention are made too.</summary>
    public static IReadOnlyDictionary<string, PrefixVisionConfig> Encoders { get; } = new Dictionary<string, PrefixVisionConfig>
    {
        ["linear"] = Plain,
        ["linear without bias, a table of positions"] = Plain with
        {
            Projector = new LinearProjectorConfig { Bias = false },
            Encoder = new ImageEncoderConfig { Heads = 4, Positions = GridPositions.Table }
        },
        ["mlp"] = Plain with { Projector = new MlpProjectorConfig() },
        ["pixel_shuffle"] = Plain with { Patch = 3, Projector = new PixelShuffleProjectorConfig() },
        ["pixel_shuffle with a bias, overlapping patches"] = Plain with
        {
            Image = new ImageConfig { Size = 10 },
            Stride = 2,
            Projector = new PixelShuffleProjectorConfig { Factor = 4, Bias = true }
        },
        ["perceiver_resampler"] = Plain with { Projector = new PerceiverResamplerConfig { Latents = 5, Heads = 2 } },
        ["perceiver_resampler of three layers, other heads"] = Plain with
        {
            Projector = new PerceiverResamplerConfig { Latents = 11, Layers = 3, Heads = 3, HeadWidth = 5, Mlp = new SwiGluMlpConfig() }
        },
        ["stem"] = Plain with { Stem = new StemConfig { Channels = [6] }, Patch = 2 },
        ["stem of two, overlapping patches"] = Plain with
        {
            Image = new ImageConfig { Size = 11 },
            Stem = new StemConfig { Channels = [5, 9] },
            Patch = 2,
            Stride = 1,
            Projector = new MlpProjectorConfig()
        },
        ["no layers"] = Plain with { Encoder = Plain.Encoder with { Layers = 0 } },
        ["layer norms and biases"] = Plain with
        {
            Encoder = Plain.Encoder with
            {
                Layers = 2,
                Norm = new LayerNormConfig(),
                Bias = true,
                Mlp = new GeluMlpConfig { Hidden = 10, Bias = true },
            }
        },
        ["a width that no vector fits"] = Plain with { Encoder = Plain.Encoder with { Width = 20, Mlp = new ReluSquaredMlpConfig() } },
        ["one patch"] = Plain with { Patch = 12 },
    };

    /// <summary>Models with pictures, in all ways that a text meets them.</summary>
    public static IReadOnlyDictionary<string, ModelConfig> Models { get; } = new Dictionary<string, ModelConfig>(
    [
        .. Tiny.Seeing.Select(model => KeyValuePair.Create(model.Key, model.Value with { ContextLength = Text.ContextLength })),
        .. Encoders.Where(encoder => encoder.Value.Projector is not LinearProjectorConfig || encoder.Key == "linear").SelectMany(encoder =>
            new[] { Named($"prefix, {encoder.Key}", encoder.Value), Named($"cross, {encoder.Key}", Cross(encoder.Value)) }),
        .. Tiny.Residuals.Where(residual => residual.Key is not ("hyper_connections" or "pre_norm")).Select(residual =>
            Named($"cross in {residual.Key}", Cross(Plain), text => text with { Residual = residual.Value })),
        Named("prefix in hyper_connections", Plain, text => text with { Residual = Tiny.Residuals["hyper_connections"] }),
        Named("prefix at learned positions", Plain, text => text with { Position = new LearnedPositionConfig() }),
        Named("cross at learned positions", Cross(Plain), text => text with { Position = new LearnedPositionConfig() }),
        Named(
            "cross before the second block, experts, other heads",
            Cross(Plain) with { Every = 2, Heads = 3, HeadWidth = 5, Mlp = Tiny.Mixture }, text => text with { Layers = 3 }),
        Named("cross over blocks without feed-forward layers", Cross(Plain), text => text with { Mlp = new NoMlpConfig() }),
        Named("cross under muP", Cross(Plain), text => text with
        {
            Initialization = new MupInitializationConfig { BaseWidth = 4, Deviation = 0.3 }
        }),
        Named("prefix over a hybrid", Plain, Hybrid),
        Named("cross over a hybrid", Cross(Plain), Hybrid),
        Named("cross beside an hourglass", Cross(Plain), text => text with
        {
            Layers = [1, new HourglassConfig { Shorten = 3, Layers = 1 }, 1]
        }),
        Named("prefix with white space", Plain, text => text with
        {
            Layers = [1, new HourglassConfig { Layers = 1, Boundaries = new WhiteSpaceBoundariesConfig { Tokens = [1, 4] } }, 1]
        }),
    ]);

    /// <summary>The same encoder in a model that reads by cross-attention.</summary>
    public static GatedCrossAttentionConfig Cross(PrefixVisionConfig prefix) => new()
    {
        Image = prefix.Image,
        Stem = prefix.Stem,
        Patch = prefix.Patch,
        Stride = prefix.Stride,
        Encoder = prefix.Encoder,
        Projector = prefix.Projector,
        Heads = 2,
    };

    /// <summary>A model whose every number is drawn, so that neither a zero nor a one hides an error; in evaluation.</summary>
    public static TransformerModel Model(ModelConfig config)
    {
        Assert.Empty(config.Problems());
        manual_seed(15);
        var model = Tiny.Stir(new TransformerModel(config));
        using var _ = no_grad();
        foreach (var (name, parameter) in model.named_parameters())
            if (parameter.dim() == 1 && !name.EndsWith(".gate", StringComparison.Ordinal)) parameter.add_(0.2 * randn_like(parameter));
        model.eval();
        return model;
    }

    /// <inheritdoc cref="Model(ModelConfig)"/>
    public static TransformerModel Model(string name) => Model(Models[name]);

    /// <inheritdoc cref="Model(ModelConfig)"/>
    public static TransformerModel WithEncoder(string name) => Model(Text with { Vision = Encoders[name] });

    /// <summary>The pixels of a picture.</summary>
    public static float[] Pixels(ModelConfig config, int seed)
    {
        var (random, side) = (new Random(seed), config.Vision!.Image.Size);
        return [.. Enumerable.Range(0, 3 * side * side).Select(_ => 2 * random.NextSingle() - 1)];
    }

    /// <summary>The ids of a text in which a number below 0 is a picture by its seed.</summary>
    public static int[] Ids(InferenceModel model, params int[] text) => [.. text.SelectMany(id =>
        id < 0 ? model.Picture(Pixels(model.Config, -id)) : [id])];

    private static ModelConfig Hybrid(ModelConfig text) => text with
    {
        Layers = 3,
        Attention = null,
        Mixers = new Dictionary<string, AttentionConfig>
        {
            ["window"] = new SoftmaxAttentionConfig { Heads = 4, KvHeads = 2, Window = Tiny.Windows["sliding 3"] },
            ["linear"] = Tiny.Linear["gated_delta"],
        },
        Pattern = ["window", "linear"],
    };

    private static KeyValuePair<string, ModelConfig> Named(
        string name, VisionConfig vision, Func<ModelConfig, ModelConfig>? change = null) =>
        KeyValuePair.Create(name, (change?.Invoke(Text) ?? Text) with { Vision = vision });
}
