using Transformer.Configuration;

namespace Transformer.Inference.Cpu;

// N tokens · C width · F hidden width

/// <summary>down(silu(gate(x)) * up(x))</summary>
internal sealed unsafe class GatedMlpInference : MlpInference
{
    private readonly Activations gate, up;
    private readonly MatrixProducts gateAndUp, down;
    private readonly PerTokenKernel activation;

    /// <inheritdoc cref="MlpInference.Of"/>
    public GatedMlpInference(InferencePlan plan, MlpConfig config, string name, Activations y)
    {
        var hidden = config.HiddenAt(plan.Width);
        (gate, up) = (plan.Workspace.Buffer("gate", hidden), plan.Workspace.Buffer("hidden", hidden));
        gateAndUp = plan.Products(plan.Map(name + "gate_proj", gate), plan.Map(name + "up_proj", up));
        activation = new(plan.Team, token => Activation.Apply<Silu>(gate.Row(token), up.Row(token), up.Row(token), hidden));
        down = plan.Products(plan.Map(name + "down_proj", y));
    }

    /// <inheritdoc/>
    public override void Run(Activations x, int tokens)
    {
        gateAndUp.Run(x, tokens);                                                  // 2 x [N, F]
        activation.Run(tokens);
        down.Run(up, tokens);                                                      // [N, C]
    }
}
