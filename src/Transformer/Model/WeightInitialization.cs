using TorchSharp.Modules;
using Transformer.Configuration;
using static TorchSharp.torch;

namespace Transformer.Model;

/// <summary>Draws every parameter before the first step, as its <see cref="ParameterSpec"/> says.</summary>
public static class WeightInitialization
{
    private const double LeastRate = 1e-4;    // the logarithm of a rate of zero is none

    /// <summary>Draws all parameters of a model by libtorch's generator, in the order of the specs.</summary>
    public static void Apply(TransformerModel model)
    {
        using var _ = no_grad();
        var parameters = model.named_parameters().ToDictionary(parameter => parameter.name, parameter => parameter.parameter);
        foreach (var spec in model.ParameterSpecs.Values) Draw(spec, parameters[spec.Name], model.Config);
    }

    private static void Draw(ParameterSpec spec, Parameter parameter, ModelConfig config)
    {
        switch (spec.Draw)
        {
            case NormalDraw normal: DrawNormal(parameter, Deviation(normal.Role, spec.Shape, config)); break;
            case ConstantDraw constant: parameter.fill_(constant.Value); break;
            case ZeroDraw: parameter.fill_(0); break;
            case RateDraw: parameter.uniform_(0, 16).clamp_min_(LeastRate).log_(); break;
            case StepDraw: DrawSteps(parameter); break;
            case ConvolutionDraw: DrawConvolution(parameter); break;
            case LayerDraw: break;
            default: throw new ArgumentOutOfRangeException(nameof(spec), spec.Draw, $"{spec.Name}: no such draw");
        }
    }

    private static void DrawNormal(Parameter parameter, double deviation)
    {
        if (deviation > 0) nn.init.normal_(parameter, 0, deviation);
        else parameter.fill_(0);
    }

    private static double Deviation(MatrixRole role, long[] shape, ModelConfig config)
    {
        var scale = role is MatrixRole.Value or MatrixRole.ResidualProjection ? config.Residual.InitialScale(config.Layers.Blocks) : 1;
        return scale * config.Initialization.DeviationOf(role, shape[0], shape[1], config);
    }

    // The inverse of softplus of log-uniform steps.
    private static void DrawSteps(Parameter bias)
    {
        using var scope = NewDisposeScope();
        var steps = bias.uniform_(Math.Log(1e-3), Math.Log(0.1)).exp();
        bias.copy_(steps + (-(-steps).expm1()).log());
    }

    private static void DrawConvolution(Parameter weight)
    {
        var bound = 1 / Math.Sqrt(weight.shape[^1]);
        weight.uniform_(-bound, bound);
    }
}
