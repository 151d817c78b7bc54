using Transformer.Layers.Positions;
using Transformer.Native;
using static TorchSharp.torch;
using Work = Transformer.Layers.Attention.CausalAttentionKernel.Work;

namespace Transformer.Layers.Attention;

// B batch · T tokens · H heads · G key/value heads · D head width

/// <summary>
/// Rotation and causal attention, within a window where there is one, as one operator with its own gradient: most of the time of
/// training on the CPU beside the plain matrix products. Equal to rotating q and k, then <see
/// cref="SoftmaxAttention.Explicit"/>; nothing of size T x T is kept.
/// </summary>
internal sealed unsafe class CausalAttention : Operator<CausalAttention>
{
    /// <summary>Whether the operator supports these tensors: fp32 on the CPU, where libtorch's BLAS can be called.</summary>
    public static bool Supports(Tensor q) => Kernels.Supports(q) && Blas.IsAvailable;

    /// <param name="q">[B, T, H, D]</param>
    /// <param name="k">[B, T, G, D]</param>
    /// <param name="v">[B, T, G, D]</param>
    /// <param name="rotation">The angles of positions 0 .. T - 1; null for none.</param>
    /// <param name="scale">What q k^T is multiplied by.</param>
    /// <param name="window">How far back each query sees; all earlier tokens where null.</param>
    /// <returns>[B, T, H, D]</returns>
    /// <exception cref="ArgumentException">The rotation is not of these positions and this head width.</exception>
    public static Tensor Apply(Tensor q, Tensor k, Tensor v, Rotation? rotation, double scale, Window? window = null)
    {
        long[] angles = [q.shape[1], q.shape[3] / 2];
        if (rotation is not null && !rotation.Cos.shape.SequenceEqual(angles))
        {
            var found = string.Join(", ", rotation.Cos.shape);
            throw new ArgumentException($"the rotation is [{found}], expected [{string.Join(", ", angles)}]");
        }
        var spans = window?.Spans.expand(q.shape[0], q.shape[2], q.shape[1]).contiguous();    // [B, H, T]
        return apply(
            q.contiguous(), k.contiguous(), v.contiguous(), rotation?.Cos.contiguous()!, rotation?.Sin.contiguous()!,
            spans!, scale, (float)(window?.Ramp ?? 0));
    }

    /// <inheritdoc/>
    public override Tensor forward(autograd.AutogradContext context, params object[] inputs)
    {
        var (q, k, v) = ((Tensor)inputs[0], (Tensor)inputs[1], (Tensor)inputs[2]);
        var z = empty_like(q);
        var logSums = empty(q.shape[0], q.shape[2], q.shape[1]);                       // [B, H, T]
        var (cos, sin, spans) = ((Tensor?)inputs[3], (Tensor?)inputs[4], (Tensor?)inputs[5]);
        var work = Describe(q, k, v, cos, sin, spans, z, logSums, (double)inputs[6], (float)inputs[7]);
        CausalAttentionKernel.Forward(&work);
        context.save_for_backward([.. new[] { q, k, v, z, logSums, cos, sin, spans }.OfType<Tensor>()]);
        context.save_data(nameof(work.Cos), cos is not null);
        context.save_data(nameof(work.Spans), spans is not null);
        context.save_data(nameof(work.Scale), inputs[6]);
        context.save_data(nameof(work.Ramp), inputs[7]);
        return z;
    }

    /// <inheritdoc/>
    protected override List<Tensor> Gradients(autograd.AutogradContext context, Tensor gradient)
    {
        var saved = context.get_saved_variables();
        var (q, k, v, z, logSums) = (saved[0], saved[1], saved[2], saved[3], saved[4]);
        var (cos, sin) = (bool)context.get_data(nameof(Work.Cos)) ? (saved[5], saved[6]) : (null, null);
        var spans = (bool)context.get_data(nameof(Work.Spans)) ? saved[^1] : null;
        var (scale, ramp) = ((double)context.get_data(nameof(Work.Scale)), (float)context.get_data(nameof(Work.Ramp)));
        var work = Describe(q, k, v, cos, sin, spans, z, logSums, scale, ramp);
        using var dz = gradient.contiguous();
        var (dq, dk, dv) = (empty_like(q), empty_like(k), zeros_like(v));
        var dspans = ramp > 0 ? empty_like(spans!) : null;
        work.ZGradient = Kernels.Pointer(dz);
        work.QGradient = Kernels.Pointer(dq);
        work.KGradient = Kernels.Pointer(dk);
        work.VGradient = Kernels.Pointer(dv);
        work.SpanGradients = Kernels.Pointer(dspans);
        CausalAttentionKernel.Backward(&work);
        return [dq, dk, dv, null!, null!, dspans!, null!, null!];
    }

    private static Work Describe(
        Tensor q, Tensor k, Tensor v, Tensor? cos, Tensor? sin, Tensor? spans, Tensor z, Tensor logSums, double scale, float ramp) => new()
        {
            Batch = q.shape[0],
            Tokens = q.shape[1],
            Heads = q.shape[2],
            KeyValueHeads = k.shape[2],
            Width = q.shape[3],
            Scale = (float)scale,
            Ramp = ramp,
            Q = Kernels.Pointer(q),
            K = Kernels.Pointer(k),
            V = Kernels.Pointer(v),
            Cos = Kernels.Pointer(cos),
            Sin = Kernels.Pointer(sin),
            Spans = Kernels.Pointer(spans),
            Z = Kernels.Pointer(z),
            LogSums = Kernels.Pointer(logSums),
        };
}
