using Transformer.Configuration;
using static TorchSharp.torch;

namespace Transformer.Layers.Positions;

// B batch · T tokens · D head width

/// <summary>
/// Rotary positions (Su et al. 2021, arXiv:2104.09864): pair i of a query or key is turned by position * theta^(-2i/D), so that a score depends
/// on the distance only. Pairs are (i, i + D/2), the half-split layout of Hugging Face's Llama.
/// </summary>
public sealed class RotaryPosition : IDisposable
{
    private readonly Tensor cos, sin;

    /// <param name="config">The base of the wavelengths.</param>
    /// <param name="headWidth">D, even.</param>
    /// <param name="length">The number of positions to prepare.</param>
    /// <param name="device">Where queries and keys live.</param>
    public RotaryPosition(RotaryPositionConfig config, int headWidth, int length, Device device)
    {
        using var scope = NewDisposeScope();
        var pairs = arange(0, headWidth, 2, ScalarType.Float64);
        var frequencies = pow(config.Theta, -pairs / headWidth);                                                // [D/2]
        var angles = outer(arange(length, ScalarType.Float64), frequencies);                                    // [T, D/2]
        cos = angles.cos().to(ScalarType.Float32).to(device).DetachFromDisposeScope();
        sin = angles.sin().to(ScalarType.Float32).to(device).DetachFromDisposeScope();
    }

    /// <summary>The rotation of the positions start .. start + count - 1.</summary>
    public Rotation At(long start, long count) => new(cos.narrow(0, start, count), sin.narrow(0, start, count));

    /// <summary>The rotation of the given positions.</summary>
    /// <param name="positions">[T], or [B, T] where rows differ; integers.</param>
    public Rotation At(Tensor positions)
    {
        var (c, s) = (cos[positions], sin[positions]);                                                          // [..., T, D/2]
        return positions.dim() == 1 ? new(c, s) : new(c.unsqueeze(1), s.unsqueeze(1));                          // or [B, 1, T, D/2]
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        cos.Dispose();
        sin.Dispose();
    }
}
