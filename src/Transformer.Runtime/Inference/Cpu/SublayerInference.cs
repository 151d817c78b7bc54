using Transformer.Configuration;

namespace Transformer.Inference.Cpu;

// N tokens · C width

/// <summary>One sub-layer of a block: a function within its residual.</summary>
internal sealed class SublayerInference
{
    private readonly Activations y;
    private readonly FunctionInference function;
    private readonly ResidualInference residual;

    /// <param name="plan">What all blocks share.</param>
    /// <param name="block">Which block.</param>
    /// <param name="sublayer">Which of its sub-layers.</param>
    /// <exception cref="InputException">No kernel is known for a kind of the configuration.</exception>
    public SublayerInference(InferencePlan plan, BlockSpec block, SublayerSpec sublayer)
    {
        y = plan.Workspace.Buffer(sublayer.Name, plan.Width);
        var name = $"{block.Path}.{sublayer.Name}.";
        function = sublayer.Name switch
        {
            SublayerSpec.Mixer => MixerInference.Of(plan, block.Mixer, name, y),
            SublayerSpec.FeedForward => MlpInference.Of(plan, block.Mlp, name, y),
            var other => throw new ArgumentOutOfRangeException(nameof(sublayer), other, "no such sub-layer"),
        };
        residual = ResidualInference.Of(plan, block, sublayer);
    }

    /// <inheritdoc cref="FunctionInference.NewState"/>
    public MixerState? NewState(int rows, int length) => function.NewState(rows, length);

    /// <summary>The stream after this sub-layer.</summary>
    /// <param name="batch">Which tokens these are.</param>
    /// <param name="stream">[N, C], or [N, n C] of n streams; changed in place.</param>
    /// <param name="x">A buffer for what the function reads: [N, C].</param>
    /// <param name="state">The block's state.</param>
    public void Run(TokenBatch batch, Activations stream, Activations x, MixerState state)
    {
        residual.Before(stream, x, batch.Tokens);
        function.Run(batch, x, state);
        residual.After(stream, y, batch.Tokens);
    }
}
