using Transformer.Native;
using static TorchSharp.torch;

namespace Transformer.Layers.Norms;

// C width

/// <summary>
/// The formula of <see cref="RmsNorm"/> as one operator with its own gradient, where libtorch on the CPU makes a dozen passes of it.
/// </summary>
internal sealed unsafe class FusedRmsNorm : Operator<FusedRmsNorm>
{
    /// <param name="x">[..., C]</param>
    /// <param name="weight">[C]</param>
    /// <param name="epsilon">Added to the mean square.</param>
    /// <returns>[..., C]</returns>
    /// <exception cref="ArgumentException">The weight is not as wide as the last dimension.</exception>
    public static Tensor Apply(Tensor x, Tensor weight, double epsilon)
    {
        if (weight.dim() != 1 || x.shape[^1] != weight.shape[0])
            throw new ArgumentException("the weight must be as wide as the last dimension");
        return apply(x.contiguous(), weight.contiguous(), epsilon);
    }

    /// <inheritdoc/>
    public override Tensor forward(autograd.AutogradContext context, params object[] inputs)
    {
        var (x, weight) = ((Tensor)inputs[0], (Tensor)inputs[1]);
        var y = empty_like(x);
        var inverses = empty(x.numel() / x.shape[^1]);
        var work = Describe(x, weight, inverses);
        work.Epsilon = (float)(double)inputs[2];
        work.Y = Kernels.Pointer(y);
        RmsNormKernel.Forward(&work);
        context.save_for_backward([x, weight, inverses]);
        return y;
    }

    /// <inheritdoc/>
    protected override List<Tensor> Gradients(autograd.AutogradContext context, Tensor gradient)
    {
        var saved = context.get_saved_variables();
        var (x, weight, inverses) = (saved[0], saved[1], saved[2]);
        using var dy = gradient.contiguous();
        var dx = empty_like(x);
        var work = Describe(x, weight, inverses);
        using var lines = zeros(RmsNormKernel.Lines(work.Rows), work.Width);
        work.YGradient = Kernels.Pointer(dy);
        work.XGradient = Kernels.Pointer(dx);
        work.WeightGradients = Kernels.Pointer(lines);
        RmsNormKernel.Backward(&work);
        return [dx, lines.sum(dim: 0), null!];
    }

    private static RmsNormKernel.Work Describe(Tensor x, Tensor weight, Tensor inverses) => new()
    {
        Rows = inverses.numel(),
        Width = weight.numel(),
        X = Kernels.Pointer(x),
        Weight = Kernels.Pointer(weight),
        Inverses = Kernels.Pointer(inverses),
    };
}
