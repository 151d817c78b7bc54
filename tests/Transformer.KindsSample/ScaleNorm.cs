using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Transformer.KindsSample;

// C width

/// <summary>ScaleNorm (Nguyen and Salazar 2019, arXiv:1910.05895): every vector gets the same learned length, sqrt(C) at first.</summary>
public sealed class ScaleNorm : nn.Module<Tensor, Tensor>
{
    private readonly double epsilon;
    private readonly Parameter length;

    /// <param name="config">What keeps the division from zero.</param>
    /// <param name="width">C.</param>
    public ScaleNorm(ScaleNormConfig config, int width) : base(nameof(ScaleNorm))
    {
        epsilon = config.Epsilon;
        length = new Parameter(full([1], Math.Sqrt(width)));
        RegisterComponents();
    }

    /// <param name="x">[..., C]</param>
    /// <returns>[..., C]</returns>
    public override Tensor forward(Tensor x) => length * x / (x.square().sum(-1, keepdim: true) + epsilon).sqrt();
}
