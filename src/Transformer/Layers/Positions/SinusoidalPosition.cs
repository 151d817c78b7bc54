using Transformer.Configuration;
using static TorchSharp.torch;

namespace Transformer.Layers.Positions;

// T tokens · C width

/// <summary>
/// The fixed encoding of Vaswani et al. 2017, section 3.5: component 2i of position t is sin(t / 10000^(2i/C)), component 2i + 1 its cosine.
/// </summary>
public sealed class SinusoidalPosition : nn.Module<Tensor, Tensor>
{
    private readonly Tensor table;

    /// <param name="length">The number of positions to prepare.</param>
    /// <param name="width">C.</param>
    public SinusoidalPosition(int length, int width) : base(nameof(SinusoidalPosition))
    {
        using var scope = NewDisposeScope();
        var frequencies = pow(SinusoidalPositionConfig.Base, -arange(0, width, 2, ScalarType.Float64) / width);                        // [C/2]
        var angles = outer(arange(length, ScalarType.Float64), frequencies);                                    // [T, C/2]
        table = stack([angles.sin(), angles.cos()], -1).flatten(1).narrow(1, 0, width).to(ScalarType.Float32)
            .contiguous().DetachFromDisposeScope();                                                             // [T, C]
        RegisterComponents();
    }

    /// <param name="positions">[B, T] or [T], integers.</param>
    /// <returns>[B, T, C] or [T, C]</returns>
    public override Tensor forward(Tensor positions) => table[positions];
}
