using static TorchSharp.torch;

namespace Transformer.Layers.Attention;

// B batch · T queries · S vectors of the source · C width · H heads · D head width

/// <summary>
/// Attention to other vectors than those of the stream (Vaswani et al. 2017, section 3.2.3): queries of x, keys and values of <see
/// cref="ForwardContext.Source"/>, all of which every query sees.
/// </summary>
public sealed class CrossAttention : nn.Module<Tensor, ForwardContext, Tensor>
{
    private readonly int heads;
    private readonly double scale;
    private readonly Linear q_proj;
    private readonly Linear k_proj;
    private readonly Linear v_proj;
    private readonly Linear o_proj;

    /// <param name="width">C.</param>
    /// <param name="heads">H, which divides the width.</param>
    /// <param name="bias">Whether the four projections have biases.</param>
    /// <param name="scale">What q k^T is multiplied by; 1 / sqrt(D) where null.</param>
    public CrossAttention(int width, int heads, bool bias = false, double? scale = null) : base(nameof(CrossAttention))
    {
        (this.heads, this.scale) = (heads, scale ?? 1 / Math.Sqrt((double)width / heads));
        q_proj = new Linear(width, width, hasBias: bias);
        k_proj = new Linear(width, width, hasBias: bias);
        v_proj = new Linear(width, width, hasBias: bias);
        o_proj = new Linear(width, width, hasBias: bias);
        RegisterComponents();
    }

    /// <param name="x">[B, T, C]</param>
    /// <param name="context">The source, [B, S, C].</param>
    /// <returns>[B, T, C]</returns>
    public override Tensor forward(Tensor x, ForwardContext context)
    {
        var source = context.Source!.to(x.dtype);
        var (q, k, v) = (Split(q_proj.call(x)), Split(k_proj.call(source)), Split(v_proj.call(source)));    // [B, H, T or S, D]
        // Groups are many and short: a fused kernel would have nothing to save, and on a GPU takes no more than 65,535 of them.
        var z = SoftmaxAttention.Explicit(q, k, v, scale, mask: null);                                      // [B, H, T, D]
        return o_proj.call(z.transpose(1, 2).flatten(2));                                                   // [B, T, C]
    }

    private Tensor Split(Tensor x) => x.unflatten(2, [heads, x.shape[2] / heads]).transpose(1, 2);
}
