using static TorchSharp.torch;

namespace Transformer.Layers.Residuals;

/// <summary>
/// x + f(norm(x)) (Radford et al. 2019; Xiong et al. 2020): the stream itself is never normalised, so gradients pass it unchanged.
/// </summary>
public sealed class PreNormResidual : Residual
{
    private readonly Func<Tensor, Tensor> norm;

    /// <param name="norm">Before the sub-layer.</param>
    public PreNormResidual(nn.Module<Tensor, Tensor> norm) : base(nameof(PreNormResidual)) => this.norm = norm.call;

    /// <inheritdoc/>
    public override Tensor Apply(Tensor stream, Func<Tensor, Tensor> sublayer) => stream + sublayer(norm(stream));
}
