using Transformer.Configuration;
using static TorchSharp.torch;

namespace Transformer.Layers.Norms;

/// <summary>The kinds of normalisation.</summary>
public static class Norm
{
    /// <summary>The module of a configuration; [..., C] to [..., C].</summary>
    /// <exception cref="InputException">No layer is known for the kind.</exception>
    public static nn.Module<Tensor, Tensor> FromConfig(NormConfig config, int width) => config switch
    {
        LayerNormConfig layer => nn.LayerNorm(width, eps: layer.Epsilon, bias: layer.Bias),
        RmsNormConfig rms => new RmsNorm(width, rms.Epsilon),
        _ => Kinds.Create<nn.Module<Tensor, Tensor>>("model.norm", config, width),
    };
}
