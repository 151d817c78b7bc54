using TorchSharp.Modules;
using Transformer.Configuration;
using Transformer.Layers.Attention;
using static TorchSharp.torch;

namespace Transformer.Model;

/// <summary>How every parameter is drawn before the first step: the one place for it, by name and shape.</summary>
public static class WeightInitialization
{
    /// <summary>
    /// Draws all parameters of a model by libtorch's generator, as its configuration says. Norm weights are one; biases are zero, those of dynamic spans
    /// what the configuration says, and their vectors zero, so that all tokens begin with one span.
    /// </summary>
    public static void Apply(TransformerModel model)
    {
        using var _ = no_grad();
        foreach (var (name, parameter) in model.named_parameters())
        {
            if (name.Contains(".window.", StringComparison.Ordinal)) parameter.zero_();
            else if (parameter.dim() < 2) parameter.fill_(name.EndsWith("bias", StringComparison.Ordinal) ? 0 : 1);
            else if (Deviation(name, parameter, model.Config) is var deviation and > 0) nn.init.normal_(parameter, 0, deviation);
            else parameter.zero_();
        }
        foreach (var span in model.modules().OfType<DynamicSpan>()) span.Bias.fill_(span.InitialBias);
    }

    /// <summary>Whether a matrix is one of those between embedding and head: what muP rescales and Muon makes orthogonal.</summary>
    public static bool IsHidden(string name, Tensor parameter) =>
        parameter.dim() == 2 && name.StartsWith("model.layers.", StringComparison.Ordinal);

    // Projections back into the residual stream: 2 L of them add up there.
    private static bool IsResidualProjection(string name) =>
        name.EndsWith("o_proj.weight", StringComparison.Ordinal) || name.EndsWith("down_proj.weight", StringComparison.Ordinal);

    private static double Deviation(string name, Parameter parameter, ModelConfig config)
    {
        var kind = config.Initialization;
        var shrink = IsResidualProjection(name) ? 1 / Math.Sqrt(2 * config.Layers) : 1;
        return kind switch
        {
            Gpt2InitializationConfig => kind.Deviation * shrink,
            MupInitializationConfig mup when IsHidden(name, parameter) => kind.Deviation * shrink * Math.Sqrt((double)mup.BaseWidth / config.Width),
            MupInitializationConfig => kind.Deviation,
            ZeroProjectionInitializationConfig when IsResidualProjection(name) || name == "lm_head.weight" => 0,
            ZeroProjectionInitializationConfig when IsHidden(name, parameter) => 1 / Math.Sqrt(parameter.shape[1]),
            ZeroProjectionInitializationConfig => kind.Deviation,
            _ => throw new ArgumentOutOfRangeException(nameof(config), kind, "no such initialization"),
        };
    }
}
