using Transformer.Configuration;

namespace Transformer.Inference.Cpu;

// N tokens · C width

/// <summary>A part of a stack, which changes the residual stream in place: a block, or an hourglass.</summary>
internal abstract class NodeInference
{
    /// <summary>The state of rows that have no tokens yet.</summary>
    /// <param name="rows">How many rows.</param>
    /// <param name="length">The most tokens of a row.</param>
    public abstract MixerState NewState(int rows, int length);

    /// <summary>The associative memory of rows that have no tokens yet; null for a part without.</summary>
    /// <param name="rows">How many rows.</param>
    public virtual AssociativeMemoryState? NewMemory(int rows) => null;

    /// <summary>The stream behind this part.</summary>
    /// <param name="batch">Which tokens these are.</param>
    /// <param name="state">What <see cref="NewState"/> made.</param>
    /// <param name="remembered">What <see cref="NewMemory"/> made.</param>
    public abstract void Run(TokenBatch batch, MixerState state, AssociativeMemoryState? remembered);

    /// <summary>A part of a stack.</summary>
    /// <param name="plan">What all layers share.</param>
    /// <param name="node">Which part.</param>
    /// <param name="streams">The stream of the stack.</param>
    /// <exception cref="InputException">No kernel is known for a kind of the configuration.</exception>
    public static NodeInference Of(InferencePlan plan, StackNode node, ResidualStreams streams) => node switch
    {
        BlockSpec block => new BlockInference(plan, block, streams),
        HourglassSpec { Config.Boundaries: null } hourglass => new HourglassInference(plan, hourglass, streams),
        HourglassSpec hourglass => new DynamicPoolingInference(plan, hourglass, streams),
        _ => throw new ArgumentOutOfRangeException(nameof(node), node, "no such part of a stack"),
    };
}
