using TorchSharp.Modules;
using Transformer.Configuration;
using static TorchSharp.torch;

namespace Transformer.Layers.Mlp;

/// <summary>The feed-forward layer of a block, at each position by itself: <c>forward(x [..., C], context) -> [..., C]</c>.</summary>
/// <param name="name">The name of the module's kind.</param>
public abstract class Mlp(string name) : nn.Module<Tensor, ForwardContext, Tensor>(name)
{
    /// <summary>The feed-forward layer of a configuration.</summary>
    /// <exception cref="InputException">No layer is known for the kind.</exception>
    public static Mlp FromConfig(MlpConfig config, int width)
    {
        var hidden = config.HiddenAt(width);
        return config switch
        {
            GeluMlpConfig => new PlainMlp(width, hidden, config.Bias, x => nn.functional.gelu(x)),
            GeluTanhMlpConfig => new PlainMlp(width, hidden, config.Bias, x => nn.functional.gelu(x, GELU.Approximate.tanh)),
            ReluMlpConfig => new PlainMlp(width, hidden, config.Bias, x => nn.functional.relu(x)),
            ReluSquaredMlpConfig => new PlainMlp(width, hidden, config.Bias, SquaredRelu.Apply),
            SwiGluMlpConfig => new GatedMlp(width, hidden, config.Bias),
            MixtureMlpConfig mixture => new MixtureOfExperts(mixture, width),
            _ => Kinds.Create<Mlp>("model.mlp", config, width),
        };
    }
}
