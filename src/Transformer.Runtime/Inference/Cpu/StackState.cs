namespace Transformer.Inference.Cpu;

/// <summary>What a stack carries from one token to the next.</summary>
/// <param name="nodes">The states of its parts.</param>
/// <param name="memories">The associative memories of its parts; null for those that have none.</param>
internal sealed class StackState(MixerState[] nodes, AssociativeMemoryState?[] memories) : JoinedState(
    [.. nodes.Concat(memories.OfType<AssociativeMemoryState>()).Select((state, index) => ($"layer.{index}", state))])
{
    /// <summary>The state of a part.</summary>
    public MixerState Node(int node) => nodes[node];

    /// <summary>The associative memory of a part; null where it has none.</summary>
    public AssociativeMemoryState? Memory(int node) => memories[node];
}
