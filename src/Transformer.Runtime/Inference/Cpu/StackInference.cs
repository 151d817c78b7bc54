using Transformer.Configuration;

namespace Transformer.Inference.Cpu;

// N tokens · C width

/// <summary>The depth of a model, or of one of its hourglasses: blocks and hourglasses that the residual stream passes in order.</summary>
internal sealed class StackInference
{
    private readonly ResidualStreams streams;
    private readonly NodeInference[] nodes;

    /// <param name="plan">What all layers share.</param>
    /// <param name="nodes">The parts of the stack.</param>
    /// <param name="path">Its module: a stack within another has a stream of its own.</param>
    /// <exception cref="InputException">No kernel is known for a kind of the configuration.</exception>
    public StackInference(InferencePlan plan, IReadOnlyList<StackNode> nodes, string path)
    {
        var vectors = plan.Workspace.Buffer($"stream {path}", plan.Width);
        streams = new ResidualStreams(plan, vectors, $"streams {path}", nodes.OfType<BlockSpec>().Any());
        this.nodes = [.. nodes.Select(node => NodeInference.Of(plan, node, streams))];
    }

    /// <summary>What the stack reads, and what it has made of it: [N, C].</summary>
    public Activations Vectors => streams.Vectors;

    /// <summary>The state of rows that have no tokens yet.</summary>
    /// <param name="rows">How many rows.</param>
    /// <param name="length">The most tokens of a row.</param>
    public StackState NewState(int rows, int length) => new(
        [.. nodes.Select(node => node.NewState(rows, length))], [.. nodes.Select(node => node.NewMemory(rows))]);

    /// <summary>Computes <see cref="Vectors"/> in place.</summary>
    /// <param name="batch">Which tokens these are.</param>
    /// <param name="state">What <see cref="NewState"/> made.</param>
    public void Run(TokenBatch batch, StackState state)
    {
        streams.Open(batch.Tokens);                                                // [N, n C]
        for (var i = 0; i < nodes.Length; i++) nodes[i].Run(batch, state.Node(i), state.Memory(i));
        streams.Close(batch.Tokens);                                               // [N, C]
    }
}
