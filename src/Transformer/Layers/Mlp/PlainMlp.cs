using static TorchSharp.torch;

namespace Transformer.Layers.Mlp;

// C width · F hidden width

/// <summary>The feed-forward layer of Vaswani et al. 2017, section 3.3: down(activation(up(x))).</summary>
public sealed class PlainMlp : Mlp
{
    private readonly Func<Tensor, Tensor> activation;
    private readonly Linear up_proj;
    private readonly Linear down_proj;

    /// <param name="width">C, the width of the residual stream.</param>
    /// <param name="hidden">F, the width between the two projections.</param>
    /// <param name="bias">Whether the projections have biases.</param>
    /// <param name="activation">What is applied to each hidden value.</param>
    public PlainMlp(long width, long hidden, bool bias, Func<Tensor, Tensor> activation) : base(nameof(PlainMlp))
    {
        this.activation = activation;
        up_proj = new Linear(width, hidden, hasBias: bias);
        down_proj = new Linear(hidden, width, hasBias: bias);
        RegisterComponents();
    }

    /// <param name="x">[..., C]</param>
    /// <param name="context">Not used.</param>
    /// <returns>[..., C]</returns>
    public override Tensor forward(Tensor x, ForwardContext context) => down_proj.call(activation(up_proj.call(x)));
}
