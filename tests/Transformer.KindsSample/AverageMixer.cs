using Transformer.Layers;
using static TorchSharp.torch;

namespace Transformer.KindsSample;

// B batch · T tokens · C width

/// <summary>A cumulative average (Zhang et al. 2018, arXiv:1805.00631, section 3.1): z_t = (v_1 + ... + v_t) / t.</summary>
public sealed class AverageMixer : TokenMixer
{
    private readonly int width;
    private readonly Linear v_proj, o_proj;

    /// <param name="config">It has no options.</param>
    /// <param name="width">C.</param>
    public AverageMixer(AverageConfig config, int width) : base(nameof(AverageMixer))
    {
        this.width = width;
        v_proj = new Linear(width, width, hasBias: false);
        o_proj = new Linear(width, width, hasBias: false);
        RegisterComponents();
    }

    /// <inheritdoc/>
    public override LayerState NewState(int rows, int length, Device device) => new AverageState(zeros(rows, width, device: device));

    /// <param name="x">[B, T, C]</param>
    /// <param name="context">The positions of this pass.</param>
    /// <param name="state">What <see cref="NewState"/> gave, or null for a pass without one.</param>
    /// <returns>[B, T, C]</returns>
    public override Tensor forward(Tensor x, ForwardContext context, LayerState? state)
    {
        var sums = v_proj.call(x).to(ScalarType.Float32).cumsum(1);                     // [B, T, C]
        if (state is AverageState past) sums = past.Continue(sums, context);
        var counts = 1 + (context.Positions ?? arange(x.shape[1], device: x.device));   // [T] or [B, T]
        return o_proj.call((sums / counts.unsqueeze(-1)).to(x.dtype));                  // [B, T, C]
    }
}
