using TorchSharp.Modules;
using Transformer.Configuration;
using static TorchSharp.torch;

namespace Transformer.Model;

/// <summary>How every parameter is drawn before the first step: the one place for it, by name and shape.</summary>
public static class WeightInitialization
{
    private const double LeastRate = 1e-4;    // the logarithm of a rate of zero is none

    /// <summary>
    /// Draws all parameters of a model by libtorch's generator, as its configuration says. Norm weights are one, biases zero; what is neither called
    /// a weight nor a bias, such as the numbers of a residual, starts as its layer makes it, and so do learned windows.
    /// </summary>
    public static void Apply(TransformerModel model)
    {
        using var _ = no_grad();
        foreach (var (name, parameter) in model.named_parameters())
        {
            if (name.EndsWith("A_log", StringComparison.Ordinal)) parameter.uniform_(0, 16).clamp_min_(LeastRate).log_();
            else if (name.EndsWith("dt_bias", StringComparison.Ordinal)) DrawSteps(parameter);
            else if (name.EndsWith("conv1d.weight", StringComparison.Ordinal)) DrawConvolution(parameter);
            else if (StartsAsMade(name)) continue;
            else if (parameter.dim() < 2) parameter.fill_(name.EndsWith("bias", StringComparison.Ordinal) ? 0 : 1);
            else if (Deviation(name, parameter, model.Config) is var deviation and > 0) nn.init.normal_(parameter, 0, deviation);
            else parameter.zero_();
        }
    }

    /// <summary>Whether a matrix is one of those between embedding and head: what muP rescales and Muon makes orthogonal. Vectors of spans are none.</summary>
    public static bool IsHidden(string name, Tensor parameter) =>
        parameter.dim() == 2 && name.StartsWith("model.layers.", StringComparison.Ordinal) && !IsWindow(name);

    private static bool IsWindow(string name) => name.Contains(".window.", StringComparison.Ordinal);

    private static bool StartsAsMade(string name) =>
        IsWindow(name) || (!name.EndsWith("weight", StringComparison.Ordinal) && !name.EndsWith("bias", StringComparison.Ordinal));

    // Steps softplus(dt_bias) are log-uniform from 0.001 to 0.1, rates exp(A_log) uniform up to 16: a token's decay is exp(-rate step) (Mamba-2, Gated DeltaNet).
    private static void DrawSteps(Parameter bias)
    {
        using var scope = NewDisposeScope();
        var steps = bias.uniform_(Math.Log(1e-3), Math.Log(0.1)).exp();
        bias.copy_(steps + (-(-steps).expm1()).log());    // the inverse of softplus
    }

    // A depthwise convolution has a fan-in of its tokens.
    private static void DrawConvolution(Parameter weight)
    {
        var bound = 1 / Math.Sqrt(weight.shape[^1]);
        weight.uniform_(-bound, bound);
    }

    // Projections back into the residual stream: 2 L of them add up there, or L where blocks have no MLP.
    private static bool IsResidualProjection(string name) =>
        name.EndsWith("o_proj.weight", StringComparison.Ordinal) || name.EndsWith("down_proj.weight", StringComparison.Ordinal);

    // What DeepNorm starts smaller by (8 L)^(1/4), besides the depth's factor of the initialization where that has one.
    private static bool IsDeepNormScaled(string name) =>
        name.EndsWith("v_proj.weight", StringComparison.Ordinal) || name.EndsWith("o_proj.weight", StringComparison.Ordinal)
        || (name.Contains(".mlp.", StringComparison.Ordinal) && name.EndsWith("_proj.weight", StringComparison.Ordinal));

    private static double Deviation(string name, Parameter parameter, ModelConfig config)
    {
        var kind = config.Initialization;
        var shrink = IsResidualProjection(name) ? 1 / Math.Sqrt(config.SubLayers * config.Layers) : 1;
        var deepNorm = config.Residual is DeepNormResidualConfig && IsDeepNormScaled(name) ? Math.Pow(8.0 * config.Layers, -0.25) : 1;
        return deepNorm * kind switch
        {
            Gpt2InitializationConfig => kind.Deviation * shrink,
            MupInitializationConfig mup when IsHidden(name, parameter) => kind.Deviation * shrink * Math.Sqrt((double)mup.BaseWidth / config.Width),
            MupInitializationConfig => kind.Deviation,
            ZeroProjectionInitializationConfig when IsResidualProjection(name) || name == "lm_head.weight" => 0,
            ZeroProjectionInitializationConfig when IsHidden(name, parameter) => 1 / Math.Sqrt(parameter.shape[1]),
            ZeroProjectionInitializationConfig => kind.Deviation,
            XavierInitializationConfig when IsHidden(name, parameter) || name == "lm_head.weight" => Math.Sqrt(2.0 / (parameter.shape[0] + parameter.shape[1])),
            XavierInitializationConfig => kind.Deviation,
            _ => throw new ArgumentOutOfRangeException(nameof(config), kind, "no such initialization"),
        };
    }
}
