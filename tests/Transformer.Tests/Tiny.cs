using TorchSharp.Modules;
using Transformer.Configuration;
using Transformer.Model;
using Transformer.Tests.Layers.Attention;
using static TorchSharp.torch;

namespace Transformer.Tests;

/// <summary>Models of some thousand parameters, with a wide initialization, so that attention is far from uniform.</summary>
internal static class Tiny
{
    public static ModelConfig Config { get; } = new()
    {
        Width = 16,
        ContextLength = 12,
        Layers = 2,
        VocabularySize = 13,
        Attention = new SoftmaxAttentionConfig { Heads = 4, KvHeads = 2 },
        Initialization = new Gpt2InitializationConfig { Deviation = 0.3 },
    };

    public static IReadOnlyDictionary<string, PositionConfig> Positions { get; } = new Dictionary<string, PositionConfig>
    {
        ["none"] = new NoPositionConfig(),
        ["learned"] = new LearnedPositionConfig(),
        ["sinusoidal"] = new SinusoidalPositionConfig(),
        ["rope"] = new RotaryPositionConfig(),
        ["rope_yarn"] = new RotaryPositionConfig
        {
            Scaling = new YarnScalingConfig { Factor = 4, OriginalLength = 6, BetaFast = 0.8, BetaSlow = 0.01 }
        },
        ["rope_dynamic_ntk"] = new RotaryPositionConfig { Scaling = new DynamicNtkScalingConfig { Factor = 4, OriginalLength = 12 } },
        ["alibi"] = new AlibiPositionConfig(),
        ["t5"] = new T5PositionConfig { Buckets = 6, MaximumDistance = 8 },
        ["relative"] = new RelativePositionConfig { Maximum = 5 },
    };

    public static IReadOnlyDictionary<string, MlpConfig> Mlps { get; } = new Dictionary<string, MlpConfig>
    {
        ["gelu"] = new GeluMlpConfig { Bias = true },
        ["gelu_tanh"] = new GeluTanhMlpConfig(),
        ["relu"] = new ReluMlpConfig(),
        ["relu_squared"] = new ReluSquaredMlpConfig(),
        ["swiglu"] = new SwiGluMlpConfig(),
    };

    public static IReadOnlyDictionary<string, NormConfig> Norms { get; } = new Dictionary<string, NormConfig>
    {
        ["layer"] = new LayerNormConfig(),
        ["layer_without_bias"] = new LayerNormConfig { Bias = false },
        ["rms"] = new RmsNormConfig(),
    };

    public static IReadOnlyDictionary<string, ResidualConfig> Residuals { get; } = new Dictionary<string, ResidualConfig>
    {
        ["pre_norm"] = new PreNormResidualConfig(),
        ["post_norm"] = new PostNormResidualConfig(),
        ["sandwich"] = new SandwichResidualConfig(),
        ["deep_norm"] = new DeepNormResidualConfig(),
        ["rezero"] = new ReZeroResidualConfig(),
        ["hyper_connections"] = new HyperConnectionsResidualConfig { Streams = 3 },
    };

    /// <summary>Two of four experts per token.</summary>
    public static MixtureMlpConfig Mixture { get; } = new() { Experts = 4, Active = 2, Expert = new SwiGluMlpConfig { Hidden = 24 } };

    /// <summary>Models with every residual, and with value residuals and experts.</summary>
    public static IReadOnlyDictionary<string, ModelConfig> Deep { get; } = new Dictionary<string, ModelConfig>(
        Residuals.Select(residual => KeyValuePair.Create(residual.Key, Config with { Residual = residual.Value })))
    {
        ["value_residual"] = Config with
        {
            Layers = 3,
            Attention = new SoftmaxAttentionConfig { Heads = 4, KvHeads = 2, ValueResidual = true }
        },
        ["mixture"] = Config with { Mlp = Mixture },
        ["mixture in hyper_connections"] = Config with { Mlp = Mixture with { Active = 1 }, Residual = Residuals["hyper_connections"] },
    };

    /// <summary>Moves the parameters of residuals away from their initial values, so that a zero or a one hides no error.</summary>
    public static T Stir<T>(T model) where T : nn.Module
    {
        using var _ = no_grad();
        foreach (var (name, parameter) in model.named_parameters())
            if (name.Contains("_residual.", StringComparison.Ordinal) || name.EndsWith("value_mix", StringComparison.Ordinal)
                || name.EndsWith("u_bias", StringComparison.Ordinal) || name.EndsWith("v_bias", StringComparison.Ordinal)
                || name.Contains(".memory.", StringComparison.Ordinal))
                parameter.add_(0.3 + 0.2 * randn_like(parameter));
        return model;
    }

    public static IReadOnlyDictionary<string, WindowConfig> Windows { get; } = new Dictionary<string, WindowConfig>
    {
        ["sliding 1"] = new SlidingWindowConfig { Size = 1 },
        ["sliding 3"] = new SlidingWindowConfig { Size = 3 },
        ["sliding 100"] = new SlidingWindowConfig { Size = 100 },
        ["length_scaled"] = new LengthScaledWindowConfig { Minimum = 2, Scale = 1, Exponent = 0.6 },
        ["adaptive"] = new AdaptiveWindowConfig { Maximum = 6, Ramp = 2 },
        ["dynamic"] = new DynamicWindowConfig { Maximum = 6, Ramp = 2, InitialBias = -0.5 },
    };

    public static IReadOnlyDictionary<string, AttentionConfig> Linear { get; } = new Dictionary<string, AttentionConfig>
    {
        ["elu"] = new LinearAttentionConfig { Rule = new EluRule(), Heads = 4 },
        ["dpfp"] = new LinearAttentionConfig { Rule = new DpfpRule(), Heads = 4, Nu = 2 },
        ["taylor"] = new LinearAttentionConfig { Rule = new TaylorRule(), Heads = 2, HeadWidth = 3, ValueWidth = 8 },
        ["retention"] = new LinearAttentionConfig { Rule = new RetentionRule(), Heads = 4, ChunkLength = 4 },
        ["gla"] = new LinearAttentionConfig { Rule = new GlaRule(), Heads = 4, ChunkLength = 4 },
        ["scalar_gla"] = new LinearAttentionConfig { Rule = new ScalarGlaRule(), Heads = 4, ValueWidth = 6, OutputGate = false },
        ["delta"] = new LinearAttentionConfig { Rule = new DeltaRule(), Heads = 4, ConvolutionWidth = 2, ChunkLength = 4 },
        ["gated_delta"] = new LinearAttentionConfig { Heads = 4, ChunkLength = 4 },
        ["gated_delta_without_convolution"] = new LinearAttentionConfig { Heads = 2, ConvolutionWidth = 0 },
        ["delta, negative eigenvalues"] = new LinearAttentionConfig
        {
            Rule = new DeltaRule(),
            Heads = 4,
            NegativeEigenvalues = true,
            ChunkLength = 4
        },
        ["gated_delta, negative eigenvalues"] = new LinearAttentionConfig { Heads = 4, NegativeEigenvalues = true },
    };

    public static IReadOnlyDictionary<string, AttentionConfig> Latent { get; } = new Dictionary<string, AttentionConfig>
    {
        ["latent"] = new LatentAttentionConfig { Heads = 4, KvRank = 6, RopeWidth = 6, ValueWidth = 5 },
        ["latent, compressed queries"] = new LatentAttentionConfig
        {
            Heads = 6,
            HeadWidth = 4,
            KvRank = 9,
            QueryRank = 7,
            RopeWidth = 0,
            Bias = true
        },
    };

    public static IReadOnlyDictionary<string, AttentionConfig> Forgetting { get; } = new Dictionary<string, AttentionConfig>
    {
        ["forgetting"] = new ForgettingAttentionConfig { Heads = 4, KvHeads = 2 },
        ["forgetting, pro"] = new ForgettingAttentionConfig { Heads = 4, QueryKeyNorm = true, KeyValueShift = true, OutputGate = true },
    };

    /// <summary>Models that read texts in segments of five tokens, with memory of those before.</summary>
    public static IReadOnlyDictionary<string, ModelConfig> Segmented { get; } = new Dictionary<string, ModelConfig>
    {
        ["transformer_xl"] = Recurrent(new TransformerXlAttentionConfig { Heads = 4, MemoryLength = 7 }),
        ["transformer_xl, same length"] = Recurrent(
            new TransformerXlAttentionConfig { Heads = 2, HeadWidth = 6, MemoryLength = 4, SameLength = true, ClampLength = 3 }),
        ["recurrent memory"] = Config with { ContextLength = 5, Memory = new RecurrentMemoryConfig { Tokens = 2 } },
        ["recurrent memory, learned positions"] = Config with
        {
            ContextLength = 5,
            Position = new LearnedPositionConfig(),
            Memory = new RecurrentMemoryConfig { Tokens = 3, Write = false }
        },
        ["associative memory"] = Config with { ContextLength = 5, Memory = new AssociativeMemoryConfig { Tokens = 2, KeyWidth = 3 } },
        ["recurrent memory over transformer_xl and gated_delta"] = Config with
        {
            ContextLength = 5,
            Position = new NoPositionConfig(),
            Attention = null,
            Mixers = new Dictionary<string, AttentionConfig>
            {
                ["recurrent"] = new TransformerXlAttentionConfig { Heads = 4, MemoryLength = 6 },
                ["linear"] = Linear["gated_delta"]
            },
            Pattern = ["recurrent", "linear"],
            Memory = new RecurrentMemoryConfig { Tokens = 2 },
        },
        ["hourglass under recurrent memory"] = Config with
        {
            ContextLength = 5,
            Layers = [1, new HourglassConfig { Shorten = 2, Layers = 1 }, 1],
            Memory = new RecurrentMemoryConfig { Tokens = 2 },
        },
        ["white space under recurrent memory and transformer_xl"] = Config with
        {
            ContextLength = 5,
            Layers = [1, WhiteSpace(1), 1],
            Position = new NoPositionConfig(),
            Attention = null,
            Mixers = new Dictionary<string, AttentionConfig>
            {
                ["recurrent"] = new TransformerXlAttentionConfig { Heads = 4, MemoryLength = 6 },
                ["plain"] = Config.Attention!,
            },
            Pattern = ["recurrent", "plain", "recurrent"],
            Memory = new RecurrentMemoryConfig { Tokens = 2 },
        },
        ["recurrent memory without writing over transformer_xl"] =
            Recurrent(new TransformerXlAttentionConfig { Heads = 4, MemoryLength = 6 }) with
            {
                Memory = new RecurrentMemoryConfig { Tokens = 2, Write = false }
            },
        ["associative memory under value residuals and learned windows"] = Config with
        {
            ContextLength = 5,
            Attention = new SoftmaxAttentionConfig { Heads = 4, ValueResidual = true, Window = Windows["dynamic"] },
            Memory = new AssociativeMemoryConfig { Tokens = 2, KeyWidth = 3 },
        },
    };

    /// <summary>Models whose layers read groups of tokens.</summary>
    public static IReadOnlyDictionary<string, ModelConfig> Grouped { get; } = new Dictionary<string, ModelConfig>
    {
        ["hourglass"] = Config with { Layers = [1, new HourglassConfig { Shorten = 3, Layers = 2 }, 1] },
        ["hourglass, linear"] = Config with
        {
            Layers =
            [
                1,
                new HourglassConfig
                {
                    Shorten = 2, Layers = 1, Pooling = new LinearPoolingConfig(), Upsampling = new LinearUpsamplingConfig()
                }
            ],
            Position = new LearnedPositionConfig(),
        },
        ["hourglass, attention"] = Config with
        {
            Layers =
            [
                new HourglassConfig
                {
                    Shorten = 4,
                    Layers = 1,
                    Pooling = new AttentionPoolingConfig { Heads = 2 },
                    Upsampling = new AttentionUpsamplingConfig { Heads = 4, Bias = true, Initial = new LinearUpsamplingConfig() },
                },
                1,
            ],
            Position = Positions["t5"],
        },
        ["hourglass, nested"] = Config with
        {
            Layers =
            [
                1, new HourglassConfig { Shorten = 2, Layers = [1, new HourglassConfig { Shorten = 3, Layers = 1 }, 1] },
                new HourglassConfig { Shorten = 1, Layers = 1 }, 1,
            ],
            Residual = Residuals["hyper_connections"],
            Mlp = Mixture,
        },
        ["hourglass under windows, dynamic_ntk and value residuals"] = Config with
        {
            Layers = [1, new HourglassConfig { Shorten = 2, Layers = 2 }, 2],
            Position = Positions["rope_dynamic_ntk"],
            Attention = null,
            Mixers = new Dictionary<string, AttentionConfig>
            {
                ["outside"] = new SoftmaxAttentionConfig { Heads = 4, ValueResidual = true },
                ["inside"] = new SoftmaxAttentionConfig { Heads = 2, HeadWidth = 4 },
            },
            Pattern = ["outside", "inside", "inside", "outside", "outside"],
        },
        ["white space"] = Config with { Layers = [1, WhiteSpace(1), 1], Residual = Residuals["post_norm"] },
        ["white space over windows and gated_delta"] = Config with
        {
            Layers = [1, WhiteSpace(2), 1],
            Attention = null,
            Mixers = new Dictionary<string, AttentionConfig>
            {
                ["window"] = new SoftmaxAttentionConfig { Heads = 4, Window = Windows["dynamic"] },
                ["linear"] = Linear["gated_delta"],
            },
            Pattern = ["window", "linear"],
        },
        ["learned boundaries"] = Config with { Layers = [1, new HourglassConfig { Boundaries = Learned, Layers = 1 }, 1] },
        ["learned boundaries of learned groups"] = Config with
        {
            Layers =
            [
                1, new HourglassConfig { Boundaries = Learned, Layers = [1, new HourglassConfig { Boundaries = Learned, Layers = 1 }, 1] },
            ],
            Position = Positions["alibi"],
        },
        ["entropy boundaries"] = Config with
        {
            Layers = [1, new HourglassConfig { Boundaries = new EntropyBoundariesConfig { Hidden = 8 }, Layers = 1 }, 1],
            Residual = Residuals["rezero"],
        },
    };

    /// <summary>Models that read pictures of 8 x 8 pixels beside text.</summary>
    public static IReadOnlyDictionary<string, ModelConfig> Seeing { get; } = SeeingModels.All;

    private static LearnedBoundariesConfig Learned => new() { Rate = 0.4, Hidden = 24 };

    private static HourglassConfig WhiteSpace(int layers) => new()
    {
        Boundaries = new WhiteSpaceBoundariesConfig { Tokens = [1, 4, 5, 11] },
        Layers = layers
    };

    private static ModelConfig Recurrent(TransformerXlAttentionConfig attention) =>
        Config with { ContextLength = 5, Attention = attention, Position = new NoPositionConfig() };

    /// <summary>Whether there is an ONNX graph of one of <see cref="Models"/>.</summary>
    public static bool HasGraph(string name) =>
        !Latent.ContainsKey(name) && !Forgetting.ContainsKey(name) && !Segmented.ContainsKey(name)
        && !Grouped.ContainsKey(name) && !Seeing.ContainsKey(name);

    /// <summary>Models of all kinds of positions, mixers, windows and residuals, by their distinguishing feature.</summary>
    public static IReadOnlyDictionary<string, ModelConfig> Models { get; } = new Dictionary<string, ModelConfig>(
    [
        .. Positions.Select(position => KeyValuePair.Create(position.Key, Config with { Position = position.Value })),
        .. Windows.Select(window => KeyValuePair.Create(
            window.Key, Config with { Attention = new SoftmaxAttentionConfig { Heads = 4, KvHeads = 2, Window = window.Value } })),
        KeyValuePair.Create("sliding with alibi", Config with
        {
            Position = Positions["alibi"],
            Attention = new SoftmaxAttentionConfig { Heads = 4, KvHeads = 2, Window = Windows["sliding 3"] }
        }),
        .. Deep,
        .. Linear.Concat(Latent).Concat(Forgetting).Select(mixer => KeyValuePair.Create(mixer.Key, OnlyWith(mixer.Value))),
        KeyValuePair.Create(
            "convolution", Config with { Attention = new ConvolutionConfig { Tokens = 3 }, Position = new LearnedPositionConfig() }),
        KeyValuePair.Create("hybrid", Config with
        {
            Layers = 3,
            Attention = null,
            Mixers = new Dictionary<string, AttentionConfig>
            {
                ["local"] = Linear["gated_delta"],
                ["sparse"] = Linear["dpfp"],
                ["global"] = Config.Attention!
            },
            Pattern = ["local", "sparse", "global"],
        }),
        .. Grouped,
        .. Seeing,
        .. Segmented,
    ]);

    /// <summary>Those of <see cref="Models"/> that read a text whole, in a state that holds all of it.</summary>
    public static IEnumerable<string> Whole => Models.Keys.Except(Segmented.Keys);

    // With rotary positions where the mixer can use them.
    private static ModelConfig OnlyWith(AttentionConfig mixer) =>
        Config with { Attention = mixer, Position = mixer.ObstacleTo(Config.Position) is null ? Config.Position : new NoPositionConfig() };

    /// <summary>One of <see cref="Models"/>; learned spans differ by head and, where they can, by token.</summary>
    public static TransformerModel Model(string name)
    {
        var model = Stir(new TransformerModel(Models[name]));
        WindowCases.Spread(model);
        return model;
    }

    /// <summary>Random ids: [B, T].</summary>
    public static Tensor Ids(int rows, int tokens) => randint(0, Config.VocabularySize!.Value, [rows, tokens]);

    public static Parameter Weight(this nn.Module module, string name) =>
        module.named_parameters().Single(parameter => parameter.name == name).parameter;

    /// <summary>Copies a module's parameters from another, by name; those that only one of them has are not changed.</summary>
    public static void CopyWeights(nn.Module from, nn.Module to)
    {
        using var _ = no_grad();
        var source = from.named_parameters().ToDictionary(parameter => parameter.name, parameter => parameter.parameter);
        foreach (var (name, parameter) in to.named_parameters())
            if (source.TryGetValue(name, out var value)) parameter.copy_(value);
    }
}
