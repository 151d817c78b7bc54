using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Transformer.Layers.Residuals;

/// <summary>
/// x + tanh(g) f(norm(x)) with one learned number g (Flamingo, Alayrac et al. 2022, arXiv:2204.14198): at zero, what is added to a model
/// that has been trained changes nothing.
/// </summary>
public sealed class TanhGatedResidual : Residual
{
    private readonly Func<Tensor, Tensor> norm;
    private readonly Parameter gate;

    /// <param name="norm">Before the sub-layer.</param>
    public TanhGatedResidual(nn.Module<Tensor, Tensor> norm) : base(nameof(TanhGatedResidual))
    {
        this.norm = norm.call;
        gate = new Parameter(zeros(1));
        RegisterComponents();
    }

    /// <inheritdoc/>
    public override Tensor Apply(Tensor stream, Func<Tensor, Tensor> sublayer) => stream + gate.tanh() * sublayer(norm(stream));
}
