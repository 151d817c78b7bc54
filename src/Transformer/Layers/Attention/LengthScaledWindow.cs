using Transformer.Configuration;
using static TorchSharp.torch;

namespace Transformer.Layers.Attention;

// B batch · T tokens

/// <summary>
/// A window that grows with the text, of this project's own: the query at position t sees W(t) = max(minimum, ceil(scale * (t +
/// 1)^exponent)) keys, itself included. With exponent 1/2 attention costs O(T^1.5).
/// </summary>
/// <param name="config">Minimum, scale and exponent.</param>
public sealed class LengthScaledWindow(LengthScaledWindowConfig config) : AttentionWindow(nameof(LengthScaledWindow))
{
    private readonly LengthScaledWindowConfig config = config;

    /// <inheritdoc/>
    public override int Keys(int length) => (int)config.KeysAt(length - 1);

    /// <inheritdoc/>
    public override Window forward(Tensor x, ForwardContext context)
    {
        var positions = context.Positions ?? arange(x.shape[1], device: x.device);                                       // [T] or [B, T]
        var power = (positions + 1).to(ScalarType.Float64).pow(config.Exponent) * (config.Scale * LengthScaledWindowConfig.RoundingGuard);
        var spans = power.ceil().clamp_min(config.Minimum).to(ScalarType.Float32) - 1;
        long? most = context.Positions is null ? config.KeysAt(x.shape[1] - 1) : null;
        return new(positions.dim() == 1 ? spans.reshape(1, 1, -1) : spans.unsqueeze(1), 0, most);                        // [1 or B, 1, T]
    }
}
