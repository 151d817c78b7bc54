using static TorchSharp.torch;

namespace Transformer.Layers.Residuals;

/// <summary>norm(x + f(x)) (Vaswani et al. 2017): the stream is normalised after every sub-layer.</summary>
public sealed class PostNormResidual : Residual
{
    private readonly Func<Tensor, Tensor> norm;

    /// <param name="norm">After the addition.</param>
    public PostNormResidual(nn.Module<Tensor, Tensor> norm) : base(nameof(PostNormResidual)) => this.norm = norm.call;

    /// <inheritdoc/>
    public override Tensor Apply(Tensor stream, Func<Tensor, Tensor> sublayer) => norm(stream + sublayer(stream));
}
