using TorchSharp.Modules;
using Transformer.Native;
using static TorchSharp.torch;

namespace Transformer.Layers.Norms;

// C width

/// <summary>Root-mean-square normalisation (Zhang and Sennrich 2019, arXiv:1910.07467): x / sqrt(mean(x^2) + epsilon) * weight.</summary>
public sealed class RmsNorm : nn.Module<Tensor, Tensor>
{
    private readonly Parameter weight;
    private readonly double epsilon;

    /// <param name="width">C.</param>
    /// <param name="epsilon">Added to the mean square.</param>
    public RmsNorm(long width, double epsilon) : base(nameof(RmsNorm))
    {
        weight = new Parameter(ones(width));
        this.epsilon = epsilon;
        RegisterComponents();
    }

    /// <param name="x">[..., C]</param>
    /// <returns>[..., C]</returns>
    public override Tensor forward(Tensor x) =>
        Kernels.Supports(x) ? FusedRmsNorm.Apply(x, weight, epsilon) : Aten.RmsNorm(x, weight, epsilon);
}
