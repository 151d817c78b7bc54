using TorchSharp.Modules;
using Transformer.Native;
using static TorchSharp.torch;

namespace Transformer.Layers.Norms;

// B batch · T tokens · H heads · D head width

/// <summary>Root-mean-square normalisation of each head by itself, with a weight for every component of every head.</summary>
public sealed class HeadRmsNorm : nn.Module<Tensor, Tensor>
{
    private readonly Parameter weight;    // [H D]
    private readonly int heads;
    private readonly double epsilon;

    /// <param name="heads">H.</param>
    /// <param name="headWidth">D.</param>
    /// <param name="epsilon">Added to the mean square.</param>
    public HeadRmsNorm(int heads, int headWidth, double epsilon) : base(nameof(HeadRmsNorm))
    {
        (this.heads, this.epsilon) = (heads, epsilon);
        weight = new Parameter(ones(heads * headWidth));
        RegisterComponents();
    }

    /// <param name="x">[B, T, H, D]</param>
    /// <returns>[B, T, H, D], in the type of x.</returns>
    public override Tensor forward(Tensor x)
    {
        var wide = x.ToFloat32();
        return (wide * (wide.square().mean([-1], keepdim: true) + epsilon).rsqrt() * weight.view(heads, -1)).to(x.dtype);
    }
}
