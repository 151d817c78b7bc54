using Transformer.Configuration;

namespace Transformer.Generation.Decoding;

// N tokens · C width · F hidden width

/// <summary>down(activation(up(x)))</summary>
internal sealed unsafe class PlainMlpStep : MlpStep
{
    private readonly MlpConfig config;
    private readonly Activations hidden;
    private readonly MatrixProducts up, down;

    /// <inheritdoc cref="MlpStep.Of"/>
    public PlainMlpStep(DecoderPlan plan, MlpConfig config, string name, Activations y)
    {
        this.config = config;
        hidden = plan.Workspace.Buffer("hidden", config.HiddenAt(plan.Width));
        up = plan.Products(plan.Map(name + "up_proj", hidden));
        down = plan.Products(plan.Map(name + "down_proj", y));
    }

    /// <inheritdoc/>
    public override void Run(Activations x, int tokens)
    {
        up.Run(x, tokens);                                                         // [N, F]
        Activation.Apply(config, hidden.Values, tokens * hidden.Width);
        down.Run(hidden, tokens);                                                  // [N, C]
    }
}
