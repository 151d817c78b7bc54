using Transformer.Configuration;
using static TorchSharp.torch;

namespace Transformer.Layers.Attention;

// B batch · T tokens · C width · H heads · R ramp

/// <summary>
/// Spans that the model learns and pays for (Sukhbaatar et al. 2019, arXiv:1905.07799): the mask falls over R tokens past z, which gives z
/// its gradient, and each layer adds lambda times its mean span to the loss.
/// </summary>
/// <param name="name">The name of the module's kind.</param>
/// <param name="config">Greatest span, ramp and penalty.</param>
public abstract class LearnedSpan(string name, LearnedWindowConfig config) : AttentionWindow(name)
{
    private readonly LearnedWindowConfig config = config;

    /// <inheritdoc/>
    public sealed override Window forward(Tensor x, ForwardContext context)
    {
        var spans = config.Maximum * Shares(x);                                                // [B or 1, H, T or 1]
        if (config.Penalty > 0) context.AuxiliaryLosses?.Add(config.Penalty * spans.mean());
        context.LearnedSpans?.Add(this, spans.alias().DetachFromDisposeScope());
        return new(spans.expand(-1, -1, x.shape[1]), config.Ramp, (long)config.Maximum + config.Ramp + 1);
    }

    /// <inheritdoc/>
    public override int Keys(int length) => (int)config.KeysAt(length - 1);

    /// <summary>z as a fraction of the greatest span, 0 to 1: [B or 1, H, T or 1], fp32.</summary>
    private protected abstract Tensor Shares(Tensor x);
}
