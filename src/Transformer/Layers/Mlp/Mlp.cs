using Transformer.Configuration;
using static TorchSharp.torch;

namespace Transformer.Layers.Mlp;

/// <summary>The kinds of feed-forward layer.</summary>
public static class Mlp
{
    /// <summary>The module of a configuration; [..., C] to [..., C].</summary>
    public static nn.Module<Tensor, Tensor> FromConfig(MlpConfig config, int width)
    {
        var hidden = config.HiddenAt(width);
        return config switch
        {
            GeluMlpConfig => new PlainMlp(width, hidden, config.Bias, x => nn.functional.gelu(x)),
            GeluTanhMlpConfig => new PlainMlp(width, hidden, config.Bias, x => nn.functional.gelu(x, TorchSharp.Modules.GELU.Approximate.tanh)),
            ReluMlpConfig => new PlainMlp(width, hidden, config.Bias, x => nn.functional.relu(x)),
            ReluSquaredMlpConfig => new PlainMlp(width, hidden, config.Bias, SquaredRelu.Apply),
            SwiGluMlpConfig => new GatedMlp(width, hidden, config.Bias),
            _ => throw new ArgumentOutOfRangeException(nameof(config), config, "no such feed-forward layer"),
        };
    }
}
