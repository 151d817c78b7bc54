using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Transformer.Layers.Residuals;

/// <summary>
/// x + a f(x) with one learned number a, zero at first (Bachlechner et al. 2020, arXiv:2003.04887): every block starts as the identity.
/// </summary>
public sealed class ReZeroResidual : Residual
{
    private readonly Parameter alpha;

    /// <summary>A sub-layer that is switched off.</summary>
    public ReZeroResidual() : base(nameof(ReZeroResidual))
    {
        alpha = new Parameter(zeros(1));
        RegisterComponents();
    }

    /// <inheritdoc/>
    public override Tensor Apply(Tensor stream, Func<Tensor, Tensor> sublayer) => stream + alpha * sublayer(stream);
}
