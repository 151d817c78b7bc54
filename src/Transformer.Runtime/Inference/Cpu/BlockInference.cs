using Transformer.Configuration;

namespace Transformer.Inference.Cpu;

// N tokens · C width

/// <summary>One layer of the stack: its mixer and its feed-forward layer, each within its residual.</summary>
internal sealed class BlockInference
{
    private readonly Activations x, mixed, fed;
    private readonly MixerInference mixer;
    private readonly MlpInference? mlp;
    private readonly ResidualInference mixerResidual;
    private readonly ResidualInference? mlpResidual;

    /// <param name="plan">What all blocks share.</param>
    /// <param name="layer">Which block.</param>
    public BlockInference(InferencePlan plan, int layer)
    {
        var name = InferencePlan.Block(layer);
        x = plan.Workspace.Buffer("sub-layer", plan.Width);
        (mixed, fed) = (plan.Workspace.Buffer("mixer", plan.Width), plan.Workspace.Buffer("mlp", plan.Width));
        mixer = MixerInference.Of(plan, layer, mixed);
        mixerResidual = ResidualInference.Of(plan, name, isMixer: true);
        if (plan.Model.Mlp is NoMlpConfig) return;
        mlp = MlpInference.Of(plan, plan.Model.Mlp, name + "mlp.", fed);
        mlpResidual = ResidualInference.Of(plan, name, isMixer: false);
    }

    /// <inheritdoc cref="MixerInference.NewState"/>
    public MixerState NewState(int rows, int length) => mixer.NewState(rows, length);

    /// <summary>The stream after this block.</summary>
    /// <param name="batch">Which tokens these are.</param>
    /// <param name="stream">[N, C], or [N, n C] of n streams; changed in place.</param>
    /// <param name="state">What <see cref="NewState"/> made.</param>
    public void Run(TokenBatch batch, Activations stream, MixerState state)
    {
        mixerResidual.Before(stream, x, batch.Tokens);
        mixer.Run(batch, x, state);
        mixerResidual.After(stream, mixed, batch.Tokens);
        if (mlp is null) return;
        mlpResidual!.Before(stream, x, batch.Tokens);
        mlp.Run(x, batch.Tokens);
        mlpResidual.After(stream, fed, batch.Tokens);
    }
}
