using Transformer.Configuration;
using Transformer.Inference.Cpu.Vision;

namespace Transformer.Inference.Cpu;

// N tokens · C width

/// <summary>One layer of the stack: a list of sub-layers, each within its residual.</summary>
internal sealed class BlockInference : NodeInference
{
    private readonly Activations stream;
    private readonly SublayerInference[] sublayers;
    private readonly bool seesPictures;
    private readonly AssociativeMemoryInference? memory;

    /// <param name="plan">What all blocks share.</param>
    /// <param name="block">Which block.</param>
    /// <param name="streams">The stream of its stack: [N, C], or [N, n C] of n streams.</param>
    /// <exception cref="InputException">No kernel is known for a kind of the configuration.</exception>
    public BlockInference(InferencePlan plan, BlockSpec block, ResidualStreams streams)
    {
        stream = streams.Streams;
        seesPictures = block.HasCrossAttention;
        if (plan.Model.Memory is AssociativeMemoryConfig associative)
            memory = new AssociativeMemoryInference(plan, associative, $"{block.Path}.{BlockSpec.Memory}.");
        sublayers = [.. block.Sublayers.Select(sublayer => new SublayerInference(plan, block.Path, sublayer, (name, y) =>
            sublayer.Name switch
            {
                SublayerSpec.Mixer => MixerInference.Of(plan, block.Mixer, name, y),
                SublayerSpec.FeedForward => MlpInference.Of(plan, block.Mlp, name, y),
                SublayerSpec.CrossAttention => new PictureAttentionInference(plan, Cross(plan), name, y),
                SublayerSpec.CrossFeedForward => MlpInference.Of(plan, Cross(plan).Mlp, name, y),
                var other => throw new ArgumentOutOfRangeException(nameof(block), other, "no such sub-layer"),
            }))];
    }

    /// <inheritdoc/>
    public override MixerState NewState(int rows, int length)
    {
        MixerState[] states = [.. sublayers.Select(sublayer => sublayer.NewState(rows, length)).OfType<MixerState>()];
        return seesPictures
            ? new JoinedState((SublayerSpec.CrossAttention, states[0]), (SublayerSpec.Mixer, states[1]))
            : states.Single();
    }

    /// <inheritdoc/>
    public override AssociativeMemoryState? NewMemory(int rows) => memory?.NewState(rows);

    /// <inheritdoc/>
    public override void Run(TokenBatch batch, MixerState state, AssociativeMemoryState? remembered)
    {
        memory?.Read(batch, stream, remembered!);
        for (var i = 0; i < sublayers.Length; i++) sublayers[i].Run(batch, stream, StateOf(i, state));
        memory?.Write(batch, stream, remembered!);
    }

    // The attention to pictures comes first; what carries nothing from token to token takes any state.
    private MixerState StateOf(int sublayer, MixerState state) => seesPictures ? ((JoinedState)state)[Math.Min(sublayer, 1)] : state;

    private static GatedCrossAttentionConfig Cross(InferencePlan plan) => (GatedCrossAttentionConfig)plan.Model.Vision!;
}
