using static TorchSharp.torch;

namespace Transformer.Layers.Residuals;

/// <summary>x + norm_2(f(norm_1(x))) (Ding et al. 2021; Gemma 2): no sub-layer can add more than its second norm lets through.</summary>
public sealed class SandwichResidual : Residual
{
    private readonly Func<Tensor, Tensor> before, after;

    /// <param name="before">Before the sub-layer.</param>
    /// <param name="after">After the sub-layer.</param>
    public SandwichResidual(nn.Module<Tensor, Tensor> before, nn.Module<Tensor, Tensor> after) : base(nameof(SandwichResidual)) =>
        (this.before, this.after) = (before.call, after.call);

    /// <inheritdoc/>
    public override Tensor Apply(Tensor stream, Func<Tensor, Tensor> sublayer) => stream + after(sublayer(before(stream)).to(stream.dtype));
}
