using Transformer.Configuration;

namespace Transformer.Inference.Cpu;

// N tokens · C width

/// <summary>A normalisation of each token's vector.</summary>
internal sealed unsafe class NormInference
{
    private readonly float* weight, bias;
    private readonly float epsilon;
    private readonly bool isLayerNorm;

    /// <param name="config">Which norm.</param>
    /// <param name="weights">Where its parameters are.</param>
    /// <param name="name">Their name without .weight and .bias.</param>
    /// <exception cref="InputException">No kernel is known for the kind.</exception>
    public NormInference(NormConfig config, CpuWeights weights, string name)
    {
        epsilon = (float)config.Epsilon;
        isLayerNorm = config switch
        {
            LayerNormConfig => true,
            RmsNormConfig => false,
            _ => throw Kind.Unknown("model.norm", config, "CPU kernel"),
        };
        weight = weights.Vector($"{name}.weight");
        bias = weights.VectorIfAny($"{name}.bias");
    }

    /// <summary>y = norm(x); both may be the same.</summary>
    public void Apply(Activations x, Activations y, int tokens)
    {
        for (var token = 0; token < tokens; token++) Apply(x.Row(token), y.Row(token), x.Width);
    }

    /// <summary>One vector's norm.</summary>
    public void Apply(float* x, float* y, int width)
    {
        if (isLayerNorm) VectorKernels.LayerNorm(x, weight, bias, epsilon, y, width);
        else VectorKernels.RmsNorm(x, weight, epsilon, y, width);
    }
}
