using Transformer.Configuration;
using static TorchSharp.torch;

namespace Transformer.Layers.Residuals;

/// <summary>
/// norm(a x + f(x)) with a = (2 L)^(1/4) for a decoder of L blocks (Wang et al. 2022, arXiv:2203.00555): post-norm whose stream outweighs
/// what is added, so that one step changes the output by a bounded amount at any depth. Its other half is the initialization of v, o and
/// the MLP, divided by (8 L)^(1/4).
/// </summary>
public sealed class DeepNormResidual : Residual
{
    private readonly Func<Tensor, Tensor> norm;
    private readonly double alpha;

    /// <param name="norm">After the addition.</param>
    /// <param name="layers">L, the number of blocks.</param>
    public DeepNormResidual(nn.Module<Tensor, Tensor> norm, int layers) : base(nameof(DeepNormResidual)) =>
        (this.norm, alpha) = (norm.call, DeepNormResidualConfig.Alpha(layers));

    /// <inheritdoc/>
    public override Tensor Apply(Tensor stream, Func<Tensor, Tensor> sublayer) => norm(alpha * stream + sublayer(stream));
}
