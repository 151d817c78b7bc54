using TorchSharp.Modules;
using Transformer.Configuration;
using static TorchSharp.torch;

namespace Transformer.Layers.Attention;

// H heads · R ramp

/// <summary>A learned span for each head (Sukhbaatar et al. 2019): z = S_max * p with p in [0, 1], kept there after every step.</summary>
public sealed class AdaptiveSpan : LearnedSpan
{
    private readonly LearnedWindowConfig config;
    private readonly Parameter span;    // p: [H]

    /// <param name="config">Greatest span, ramp and penalty.</param>
    /// <param name="heads">H, the number of query heads.</param>
    public AdaptiveSpan(AdaptiveWindowConfig config, int heads) : base(nameof(AdaptiveSpan), config)
    {
        this.config = config;
        span = new Parameter(zeros(heads));
        RegisterComponents();
    }

    /// <summary>The span of the widest head: generation keeps no more keys.</summary>
    public override int Keys(int length)
    {
        using var _ = no_grad();
        using var scope = NewDisposeScope();
        return (int)Math.Min(length, new Window(config.Maximum * Shares(span), config.Ramp).Keys());
    }

    // A checkpoint may hold any number, but caches are as long as the greatest span.
    private protected override Tensor Shares(Tensor x) => span.to(ScalarType.Float32).clamp(0, 1).view(1, -1, 1);
}
