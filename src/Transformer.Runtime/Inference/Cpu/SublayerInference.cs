using Transformer.Configuration;

namespace Transformer.Inference.Cpu;

// N tokens · C width

/// <summary>One sub-layer of a block: a function within its residual.</summary>
internal sealed class SublayerInference
{
    private readonly Activations x, y;
    private readonly FunctionInference function;
    private readonly ResidualInference residual;

    /// <param name="plan">What all blocks share.</param>
    /// <param name="path">The module of its block.</param>
    /// <param name="sublayer">Which of the block's sub-layers.</param>
    /// <param name="make">Makes the function, given its name with a dot at its end and where its result goes, [N, C].</param>
    /// <exception cref="InputException">No kernel is known for a kind of the configuration.</exception>
    public SublayerInference(
        InferencePlan plan, string path, SublayerSpec sublayer, Func<string, Activations, FunctionInference> make)
    {
        (x, y) = (plan.Workspace.Buffer("sub-layer", plan.Width), plan.Workspace.Buffer(sublayer.Name, plan.Width));
        function = make($"{path}.{sublayer.Name}.", y);
        residual = ResidualInference.Of(plan, path, sublayer);
    }

    /// <inheritdoc cref="FunctionInference.NewState"/>
    public MixerState? NewState(int rows, int length) => function.NewState(rows, length);

    /// <summary>The stream after this sub-layer.</summary>
    /// <param name="batch">Which tokens these are.</param>
    /// <param name="stream">[N, C], or [N, n C] of n streams; changed in place.</param>
    /// <param name="state">The block's state.</param>
    public void Run(TokenBatch batch, Activations stream, MixerState state)
    {
        residual.Before(stream, x, batch.Tokens);
        function.Run(batch, x, state);
        residual.After(stream, y, batch.Tokens);
    }
}
