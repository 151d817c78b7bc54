using static TorchSharp.torch;

namespace Transformer.Layers.Attention;

// B batch · T queries · S vectors of the source · C width · C' width of the source · H heads · D head width

/// <summary>
/// Attention to other vectors than those of the stream (Vaswani et al. 2017, section 3.2.3): queries of x, keys and values of <see
/// cref="ForwardContext.Source"/>, all of which every query sees.
/// </summary>
public class CrossAttention : nn.Module<Tensor, ForwardContext, Tensor>
{
    private readonly int heads;
    private readonly double scale;
    private readonly Linear q_proj;
    private readonly Linear k_proj;
    private readonly Linear v_proj;
    private readonly Linear o_proj;

    /// <param name="width">C.</param>
    /// <param name="heads">H.</param>
    /// <param name="bias">Whether the four projections have biases.</param>
    /// <param name="scale">What q k^T is multiplied by; 1 / sqrt(D) where null.</param>
    /// <param name="headWidth">D; C / H where null.</param>
    /// <param name="sourceWidth">C'; C where null.</param>
    public CrossAttention(
        int width, int heads, bool bias = false, double? scale = null, int? headWidth = null, int? sourceWidth = null)
        : base(nameof(CrossAttention))
    {
        var (inner, from) = ((headWidth ?? width / heads) * heads, sourceWidth ?? width);
        (this.heads, this.scale) = (heads, scale ?? 1 / Math.Sqrt((double)inner / heads));
        q_proj = new Linear(width, inner, hasBias: bias);
        k_proj = new Linear(from, inner, hasBias: bias);
        v_proj = new Linear(from, inner, hasBias: bias);
        o_proj = new Linear(inner, width, hasBias: bias);
        RegisterComponents();
    }

    /// <param name="x">[B, T, C]</param>
    /// <param name="context">The source, [B, S, C'].</param>
    /// <returns>[B, T, C]</returns>
    public override Tensor forward(Tensor x, ForwardContext context)
    {
        var (k, v) = KeysAndValues(context.Source!.to(x.dtype));
        return Attend(x, k, v, mask: null, context);
    }

    /// <summary>Keys and values of a source: [B, S, C'] to 2 x [B, H, S, D].</summary>
    protected (Tensor Keys, Tensor Values) KeysAndValues(Tensor source) => (Split(k_proj.call(source)), Split(v_proj.call(source)));

    /// <summary>What the queries of x make of keys and values.</summary>
    /// <param name="x">[B, T, C]</param>
    /// <param name="k">[B, H, S, D]</param>
    /// <param name="v">[B, H, S, D]</param>
    /// <param name="mask">[B, 1, T, S], true is visible; null where every query sees every key.</param>
    /// <param name="context">What collects the weights, where anyone wants them.</param>
    /// <returns>[B, T, C]</returns>
    protected Tensor Attend(Tensor x, Tensor k, Tensor v, Tensor? mask, ForwardContext context)
    {
        var q = Split(q_proj.call(x));                                                                      // [B, H, T, D]
        if (context.AttentionWeights is { } wanted)
            wanted[this] = SoftmaxAttention.Weights(q, k, scale, mask).DetachFromDisposeScope();
        // Sources are many and short: a fused kernel would have nothing to save, and on a GPU takes no more than 65,535 of them.
        var z = SoftmaxAttention.Explicit(q, k, v, scale, mask);                                            // [B, H, T, D]
        return o_proj.call(z.transpose(1, 2).flatten(2));                                                   // [B, T, C]
    }

    private Tensor Split(Tensor x) => x.unflatten(2, [heads, x.shape[2] / heads]).transpose(1, 2);
}
