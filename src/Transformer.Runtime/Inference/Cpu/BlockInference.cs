using Transformer.Configuration;

namespace Transformer.Inference.Cpu;

// N tokens · C width

/// <summary>One layer of the stack: a list of sub-layers, each within its residual.</summary>
internal sealed class BlockInference
{
    private readonly Activations x;
    private readonly SublayerInference[] sublayers;
    private readonly AssociativeMemoryInference? memory;

    /// <param name="plan">What all blocks share.</param>
    /// <param name="block">Which block.</param>
    /// <exception cref="InputException">No kernel is known for a kind of the configuration.</exception>
    public BlockInference(InferencePlan plan, BlockSpec block)
    {
        x = plan.Workspace.Buffer("sub-layer", plan.Width);
        if (plan.Model.Memory is AssociativeMemoryConfig associative)
            memory = new AssociativeMemoryInference(plan, associative, $"{block.Path}.{BlockSpec.Memory}.");
        sublayers = [.. block.Sublayers.Select(sublayer => new SublayerInference(plan, block, sublayer))];
    }

    /// <summary>The state of rows that have no tokens yet: that of the block's mixer.</summary>
    /// <param name="rows">How many rows.</param>
    /// <param name="length">The most tokens of a row.</param>
    public MixerState NewState(int rows, int length) =>
        sublayers.Select(sublayer => sublayer.NewState(rows, length)).OfType<MixerState>().Single();

    /// <summary>The associative memory of rows that have no tokens yet; null for a block without.</summary>
    /// <param name="rows">How many rows.</param>
    public AssociativeMemoryState? NewMemory(int rows) => memory?.NewState(rows);

    /// <summary>The stream after this block.</summary>
    /// <param name="batch">Which tokens these are.</param>
    /// <param name="stream">[N, C], or [N, n C] of n streams; changed in place.</param>
    /// <param name="state">What <see cref="NewState"/> made.</param>
    /// <param name="remembered">What <see cref="NewMemory"/> made.</param>
    public void Run(TokenBatch batch, Activations stream, MixerState state, AssociativeMemoryState? remembered)
    {
        memory?.Read(batch, stream, remembered!);
        foreach (var sublayer in sublayers) sublayer.Run(batch, stream, x, state);
        memory?.Write(batch, stream, remembered!);
    }
}
