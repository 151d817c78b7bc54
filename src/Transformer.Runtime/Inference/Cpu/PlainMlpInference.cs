using Transformer.Configuration;

namespace Transformer.Inference.Cpu;

// N tokens · C width · F hidden width

/// <summary>down(activation(up(x)))</summary>
internal sealed unsafe class PlainMlpInference<TActivation> : MlpInference where TActivation : struct, IActivation
{
    private readonly Activations hidden;
    private readonly MatrixProducts up, down;
    private readonly PerTokenKernel activation;

    /// <inheritdoc cref="MlpInference.Of"/>
    public PlainMlpInference(InferencePlan plan, MlpConfig config, string name, Activations y)
    {
        hidden = plan.Workspace.Buffer("hidden", config.HiddenAt(plan.Width));
        up = plan.Products(plan.Map(name + "up_proj", hidden));
        activation = new(plan.Team, token => Activation.Apply<TActivation>(hidden.Row(token), null, hidden.Row(token), hidden.Width));
        down = plan.Products(plan.Map(name + "down_proj", y));
    }

    /// <inheritdoc/>
    public override void Run(Activations x, int tokens)
    {
        up.Run(x, tokens);                                                         // [N, F]
        activation.Run(tokens);
        down.Run(hidden, tokens);                                                  // [N, C]
    }
}
