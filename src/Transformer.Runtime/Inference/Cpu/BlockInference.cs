using Transformer.Configuration;

namespace Transformer.Inference.Cpu;

// N tokens · C width

/// <summary>One layer of the stack: a list of sub-layers, each within its residual.</summary>
internal sealed class BlockInference : NodeInference
{
    private readonly Activations stream;
    private readonly SublayerInference[] sublayers;
    private readonly AssociativeMemoryInference? memory;

    /// <param name="plan">What all blocks share.</param>
    /// <param name="block">Which block.</param>
    /// <param name="streams">The stream of its stack: [N, C], or [N, n C] of n streams.</param>
    /// <exception cref="InputException">No kernel is known for a kind of the configuration.</exception>
    public BlockInference(InferencePlan plan, BlockSpec block, ResidualStreams streams)
    {
        stream = streams.Streams;
        if (plan.Model.Memory is AssociativeMemoryConfig associative)
            memory = new AssociativeMemoryInference(plan, associative, $"{block.Path}.{BlockSpec.Memory}.");
        sublayers = [.. block.Sublayers.Select(sublayer => new SublayerInference(plan, block.Path, sublayer, (name, y) =>
            sublayer.Name switch
            {
                SublayerSpec.Mixer => MixerInference.Of(plan, block.Mixer, name, y),
                SublayerSpec.FeedForward => MlpInference.Of(plan, block.Mlp, name, y),
                var other => throw new ArgumentOutOfRangeException(nameof(block), other, "no such sub-layer"),
            }))];
    }

    /// <inheritdoc/>
    public override MixerState NewState(int rows, int length) =>
        sublayers.Select(sublayer => sublayer.NewState(rows, length)).OfType<MixerState>().Single();

    /// <inheritdoc/>
    public override AssociativeMemoryState? NewMemory(int rows) => memory?.NewState(rows);

    /// <inheritdoc/>
    public override void Run(TokenBatch batch, MixerState state, AssociativeMemoryState? remembered)
    {
        memory?.Read(batch, stream, remembered!);
        foreach (var sublayer in sublayers) sublayer.Run(batch, stream, state);
        memory?.Write(batch, stream, remembered!);
    }
}
