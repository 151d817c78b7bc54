using TorchSharp.Modules;
using Transformer.Configuration;
using Transformer.Model;
using Transformer.Tests.Layers.Attention;
using static TorchSharp.torch;

namespace Transformer.Tests;

/// <summary>Models of some thousand parameters, drawn wide so that attention is far from uniform.</summary>
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

    public static IReadOnlyDictionary<string, WindowConfig> Windows { get; } = new Dictionary<string, WindowConfig>
    {
        ["sliding 1"] = new SlidingWindowConfig { Size = 1 },
        ["sliding 3"] = new SlidingWindowConfig { Size = 3 },
        ["sliding 100"] = new SlidingWindowConfig { Size = 100 },
        ["length_scaled"] = new LengthScaledWindowConfig { Minimum = 2, Scale = 1, Exponent = 0.6 },
        ["adaptive"] = new AdaptiveWindowConfig { Maximum = 6, Ramp = 2 },
        ["dynamic"] = new DynamicWindowConfig { Maximum = 6, Ramp = 2, InitialBias = -0.5 },
    };

    /// <summary>A model with each kind of position, and one with each kind of window.</summary>
    public static IReadOnlyDictionary<string, ModelConfig> Models { get; } = new Dictionary<string, ModelConfig>(
    [
        .. Positions.Select(position => KeyValuePair.Create(position.Key, Config with { Position = position.Value })),
        .. Windows.Select(window => KeyValuePair.Create(window.Key, Config with { Attention = new SoftmaxAttentionConfig { Heads = 4, KvHeads = 2, Window = window.Value } })),
    ]);

    /// <summary>One of <see cref="Models"/>; learned spans differ by head and, where they can, by token.</summary>
    public static TransformerModel Model(string name)
    {
        var model = new TransformerModel(Models[name]);
        WindowCases.Spread(model);
        return model;
    }

    /// <summary>Random ids: [B, T].</summary>
    public static Tensor Ids(int rows, int tokens) => randint(0, Config.VocabularySize!.Value, [rows, tokens]);

    public static Parameter Weight(this nn.Module module, string name) => module.named_parameters().Single(parameter => parameter.name == name).parameter;

    /// <summary>Gives a module's parameters the values of another's, by name; those that only one of them has are left alone.</summary>
    public static void CopyWeights(nn.Module from, nn.Module to)
    {
        using var _ = no_grad();
        var source = from.named_parameters().ToDictionary(parameter => parameter.name, parameter => parameter.parameter);
        foreach (var (name, parameter) in to.named_parameters())
            if (source.TryGetValue(name, out var value)) parameter.copy_(value);
    }
}
