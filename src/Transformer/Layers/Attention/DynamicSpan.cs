using TorchSharp.Modules;
using Transformer.Configuration;
using Transformer.Native;
using static TorchSharp.torch;

namespace Transformer.Layers.Attention;

// B batch · T tokens · C width · H heads

/// <summary>
/// A span for each head and token (Sukhbaatar et al. 2019): z_t = S_max * sigmoid(v . x_t + b). Each token
/// computes its own, so the window follows how hard the text is.
/// </summary>
public sealed class DynamicSpan : LearnedSpan
{
    // All tokens begin with one span.
    private readonly Parameter weight;    // v: [H, C]
    private readonly Parameter bias;      // b: [H]

    /// <param name="config">Greatest span, ramp, penalty and the bias to start from.</param>
    /// <param name="heads">H, the number of query heads.</param>
    /// <param name="width">C, the width of the residual stream.</param>
    public DynamicSpan(DynamicWindowConfig config, int heads, int width) : base(nameof(DynamicSpan), config)
    {
        weight = new Parameter(zeros(heads, width));
        bias = new Parameter(full([heads], (float)config.InitialBias));
        RegisterComponents();
    }

    private protected override Tensor Shares(Tensor x) =>
        nn.functional.linear(x.ToFloat32(), weight.ToFloat32(), bias.ToFloat32()).to(ScalarType.Float32)
            .sigmoid().transpose(1, 2);                                         // [B, H, T]
}
