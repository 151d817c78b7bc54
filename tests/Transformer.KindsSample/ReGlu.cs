using Transformer.Layers;
using static TorchSharp.torch;

namespace Transformer.KindsSample;

// C width · F hidden width

/// <summary>The feed-forward layer of Shazeer 2020 (arXiv:2002.05202) whose gate is a rectified linear unit.</summary>
public sealed class ReGlu : Layers.Mlp.Mlp
{
    private readonly Linear gate_proj, up_proj, down_proj;

    /// <param name="config">Hidden width and biases.</param>
    /// <param name="width">C.</param>
    public ReGlu(ReGluConfig config, int width) : base(nameof(ReGlu))
    {
        gate_proj = new Linear(width, config.HiddenAt(width), hasBias: false);
        up_proj = new Linear(width, config.HiddenAt(width), config.Bias);
        down_proj = new Linear(config.HiddenAt(width), width, config.Bias);
        RegisterComponents();
    }

    /// <param name="x">[..., C]</param>
    /// <param name="context">What the layers of a pass share.</param>
    /// <returns>[..., C]</returns>
    public override Tensor forward(Tensor x, ForwardContext context)
    {
        var hidden = nn.functional.relu(gate_proj.call(x)) * up_proj.call(x);    // [..., F]
        return down_proj.call(hidden);                                           // [..., C]
    }
}
