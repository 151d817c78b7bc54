using Transformer.Configuration;

namespace Transformer.Generation.Decoding;

// N tokens · C width · F hidden width

/// <summary>down(activation(up(x)))</summary>
internal sealed unsafe class PlainMlpStep : MlpStep
{
    private readonly Activations hidden;
    private readonly MatrixProducts up, down;
    private readonly EachToken activation;

    /// <inheritdoc cref="MlpStep.Of"/>
    public PlainMlpStep(DecoderPlan plan, MlpConfig config, string name, Activations y)
    {
        hidden = plan.Workspace.Buffer("hidden", config.HiddenAt(plan.Width));
        up = plan.Products(plan.Map(name + "up_proj", hidden));
        activation = new(plan.Team, token => Activation.Apply(config, hidden.Row(token), hidden.Width));
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
