using Transformer.Configuration;
using Transformer.Native;
using static TorchSharp.torch;

namespace Transformer.Layers.Positions;

// B batch · T tokens · D head width

/// <summary>
/// Rotary positions (Su et al. 2021, arXiv:2104.09864): pair i of a query or key is rotated by position * theta^(-2i/D), so that a score
/// depends on the distance only. Pairs are (i, i + D/2), the half-split layout of Hugging Face's Llama.
/// </summary>
public sealed class RotaryPosition : IDisposable
{
    private readonly RotaryPositionConfig config;
    private readonly int headWidth;
    private readonly Tensor cos, sin;

    /// <param name="config">The base of the wavelengths and how they are scaled.</param>
    /// <param name="headWidth">D, even.</param>
    /// <param name="length">The number of positions to prepare.</param>
    /// <param name="device">The device of queries and keys.</param>
    /// <exception cref="InputException">No rotation is known for the kind of scaling.</exception>
    public RotaryPosition(RotaryPositionConfig config, int headWidth, int length, Device device)
    {
        (this.config, this.headWidth) = (config, headWidth);
        FollowsLength = config.Scaling switch
        {
            DynamicNtkScalingConfig => true,
            null or LinearScalingConfig or NtkScalingConfig or YarnScalingConfig or Llama3ScalingConfig => false,
            var other => throw Kind.Unknown("model.position.scaling", other, "rotation"),
        };
        using var scope = NewDisposeScope();
        var frequencies = tensor(config.Frequencies(headWidth, length: 0));                      // [D/2]
        var angles = outer(arange(length, ScalarType.Float64), frequencies);                                    // [T, D/2]
        (cos, sin) = CosineAndSine(angles, device);
        cos.DetachFromDisposeScope();
        sin.DetachFromDisposeScope();
    }

    /// <summary>
    /// Whether the angle of a position depends on the length of its text (dynamic NTK). Keys are then cached unrotated and rotated in every
    /// pass; else they are rotated once, before they are cached.
    /// </summary>
    public bool FollowsLength { get; }

    /// <summary>The rotation of the positions start .. start + count - 1.</summary>
    public Rotation At(long start, long count) => new(cos.narrow(0, start, count), sin.narrow(0, start, count));

    /// <summary>The rotation of the given positions.</summary>
    /// <param name="positions">[T], or [B, T] where rows differ; integers.</param>
    public Rotation At(Tensor positions)
    {
        var (c, s) = (cos[positions], sin[positions]);                                                          // [..., T, D/2]
        return positions.dim() == 1 ? new(c, s) : new(c.unsqueeze(1), s.unsqueeze(1));                          // or [B, 1, T, D/2]
    }

    /// <summary>The rotation of the given positions in texts of the given lengths, for scalings that follow the length.</summary>
    /// <param name="positions">[T], or [B, T] where rows differ; integers.</param>
    /// <param name="lengths">The length of each row's text, or one for all.</param>
    public Rotation At(Tensor positions, IReadOnlyList<int> lengths)
    {
        if (config.Scaling is not DynamicNtkScalingConfig { OriginalLength: var original } || lengths.All(length => length <= original))
            return At(positions);
        using var scope = NewDisposeScope();
        var isShared = positions.dim() == 1 && lengths.Distinct().Count() == 1;
        var ofRows = lengths.Take(isShared ? 1 : lengths.Count).Select(length => config.Frequencies(headWidth, length));
        var frequencies = stack([.. ofRows.Select(row => tensor(row))])
            .ToDeviceAsync(positions.device).unsqueeze(1);                                                             // [B or 1, 1, D/2]
        var (c, s) = CosineAndSine(positions.unsqueeze(-1) * frequencies, positions.device);                    // 2 x [B or 1, T, D/2]
        (c, s) = isShared ? (c.squeeze(0), s.squeeze(0)) : (c.unsqueeze(1), s.unsqueeze(1));               // [T, D/2] or [B, 1, T, D/2]
        return new(c.MoveToOuterDisposeScope(), s.MoveToOuterDisposeScope());
    }

    // Angles are kept in double precision up to here: that of position 8,191 has an ulp of 5e-4 in single precision.
    private (Tensor Cos, Tensor Sin) CosineAndSine(Tensor angles, Device device)
    {
        var amplitude = config.Amplitude;
        return ((amplitude * angles.cos()).to(ScalarType.Float32).to(device), (amplitude * angles.sin()).to(ScalarType.Float32).to(device));
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        cos.Dispose();
        sin.Dispose();
    }
}
