using Transformer.Layers;
using static TorchSharp.torch;

namespace Transformer.Model;

// B batch · T tokens · C width

/// <summary>
/// The depth of a model: nodes that the residual stream passes in order. The leaves are blocks; anything else that maps the stream to the
/// stream can be a node among them. The stack opens the stream before its first node and closes it after the last, and it alone applies
/// hooks and activation checkpointing to a block.
/// </summary>
public sealed class Stack : nn.Module<Tensor, ForwardContext, Tensor>
{
    private readonly IReadOnlyList<nn.Module<Tensor, ForwardContext, Tensor>> nodes;

    /// <param name="nodes">From the embedding to the head; their names are their numbers.</param>
    public Stack(IReadOnlyList<nn.Module<Tensor, ForwardContext, Tensor>> nodes) : base(nameof(Stack))
    {
        this.nodes = nodes;
        for (var i = 0; i < nodes.Count; i++) register_module($"{i}", nodes[i]);
        Blocks = [.. nodes.OfType<Block>()];
    }

    /// <summary>The blocks from the embedding to the head.</summary>
    public IReadOnlyList<Block> Blocks { get; }

    /// <summary>Hooks around each block, or null.</summary>
    internal BlockHooks? Hooks { get; set; }

    /// <param name="x">[B, T, C]</param>
    /// <param name="context">What the layers of this pass share.</param>
    /// <returns>[B, T, C]</returns>
    public override Tensor forward(Tensor x, ForwardContext context)
    {
        if (Blocks.Count == 0) return x;
        var stream = Blocks[0].Open(x);
        foreach (var node in nodes) stream = node is Block block ? Compute(block, stream, context) : node.call(stream, context);
        return Blocks[^1].Close(stream);
    }

    private Tensor Compute(Block block, Tensor stream, ForwardContext context)
    {
        if (Hooks is not null) stream = Hooks.BeforeBlock(block.Depth, stream);
        return block.Memory is { } memory
            ? memory.Apply(stream, context, read => ComputeBlock(block, read, context))
            : ComputeBlock(block, stream, context);
    }

    private Tensor ComputeBlock(Block block, Tensor stream, ForwardContext context)
    {
        if (context.Recomputation is not null) return CheckpointedBlock.Apply(block, stream, context, () => Hooks?.Parameters(block.Depth));
        using var parameters = Hooks?.Parameters(block.Depth);
        return block.call(stream, context);
    }
}
