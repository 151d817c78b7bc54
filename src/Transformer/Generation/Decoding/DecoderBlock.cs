using Transformer.Configuration;

namespace Transformer.Generation.Decoding;

// N tokens · C width

/// <summary>One layer of the stack: its mixer and its feed-forward layer, each within its residual.</summary>
internal sealed class DecoderBlock
{
    private readonly Activations x, mixed, fed;
    private readonly MixerStep mixer;
    private readonly MlpStep? mlp;
    private readonly ResidualStep mixerResidual;
    private readonly ResidualStep? mlpResidual;

    /// <param name="plan">What all blocks share.</param>
    /// <param name="layer">Which block.</param>
    public DecoderBlock(DecoderPlan plan, int layer)
    {
        var name = DecoderPlan.Block(layer);
        x = plan.Workspace.Buffer("sub-layer", plan.Width);
        (mixed, fed) = (plan.Workspace.Buffer("mixer", plan.Width), plan.Workspace.Buffer("mlp", plan.Width));
        mixer = MixerStep.Of(plan, layer, mixed);
        mixerResidual = ResidualStep.Of(plan, name, isMixer: true);
        if (plan.Model.Mlp is NoMlpConfig) return;
        mlp = MlpStep.Of(plan, plan.Model.Mlp, name + "mlp.", fed);
        mlpResidual = ResidualStep.Of(plan, name, isMixer: false);
    }

    /// <inheritdoc cref="MixerStep.NewState"/>
    public MixerState NewState(int rows, int length) => mixer.NewState(rows, length);

    /// <summary>The stream after this block.</summary>
    /// <param name="pass">Which tokens these are.</param>
    /// <param name="stream">[N, C], or [N, n C] of n streams; changed in place.</param>
    /// <param name="state">What <see cref="NewState"/> made.</param>
    public void Run(Pass pass, Activations stream, MixerState state)
    {
        mixerResidual.Before(stream, x, pass.Tokens);
        mixer.Run(pass, x, state);
        mixerResidual.After(stream, mixed, pass.Tokens);
        if (mlp is null) return;
        mlpResidual!.Before(stream, x, pass.Tokens);
        mlp.Run(x, pass.Tokens);
        mlpResidual.After(stream, fed, pass.Tokens);
    }
}
