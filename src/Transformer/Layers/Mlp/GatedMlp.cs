using Transformer.Native;
using static TorchSharp.torch;

namespace Transformer.Layers.Mlp;

// B batch · T tokens · C width · F hidden width

/// <summary>The gated feed-forward layer of Shazeer 2020 (arXiv:2002.05202): down(silu(gate(x)) * up(x)).</summary>
public sealed class GatedMlp : Mlp
{
    private readonly Linear gate_proj;
    private readonly Linear up_proj;
    private readonly Linear down_proj;

    /// <param name="width">C, the width of the residual stream.</param>
    /// <param name="hidden">F, the width between the projections; two thirds of 4C keeps the parameters of a plain MLP.</param>
    /// <param name="bias">Whether the projections have biases.</param>
    public GatedMlp(long width, long hidden, bool bias) : base(nameof(GatedMlp))
    {
        gate_proj = new Linear(width, hidden, hasBias: bias);
        up_proj = new Linear(width, hidden, hasBias: bias);
        down_proj = new Linear(hidden, width, hasBias: bias);
        RegisterComponents();
    }

    /// <param name="x">[B, T, C]</param>
    /// <param name="context">Not used.</param>
    /// <returns>[B, T, C]</returns>
    public override Tensor forward(Tensor x, ForwardContext context)
    {
        var (gate, up) = (gate_proj.call(x), up_proj.call(x));                                              // 2 x [B, T, F]
        var hidden = Kernels.Supports(gate) ? SwiGlu.Apply(gate, up) : nn.functional.silu(gate) * up;          // [B, T, F]
        return down_proj.call(hidden);                                                                      // [B, T, C]
    }
}
