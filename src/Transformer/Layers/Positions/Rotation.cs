using static TorchSharp.torch;

namespace Transformer.Layers.Positions;

// B batch · T tokens · H heads · D head width

/// <summary>The angles of one pass, shared by all layers.</summary>
/// <param name="Cos">[T, D/2] or [B, 1, T, D/2]</param>
/// <param name="Sin">[T, D/2] or [B, 1, T, D/2]</param>
public sealed record Rotation(Tensor Cos, Tensor Sin)
{
    /// <summary>Rotates every pair (x_i, x_{i+D/2}) by its angle, in fp32; the result is of the type of x.</summary>
    /// <param name="x">[B, H, T, D]</param>
    /// <returns>[B, H, T, D]</returns>
    public Tensor Apply(Tensor x)
    {
        var halves = x.chunk(2, -1);                                                     // 2 x [B, H, T, D/2]
        return cat([halves[0] * Cos - halves[1] * Sin, halves[1] * Cos + halves[0] * Sin], -1).to(x.dtype);
    }
}
