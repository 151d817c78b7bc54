using Transformer.Configuration;
using Transformer.Layers;
using Transformer.Layers.Memory;
using Transformer.Layers.Vision;
using Transformer.Model.Hierarchy;
using static TorchSharp.torch;

namespace Transformer.Model;

// B batch · T tokens · C width

/// <summary>
/// The depth of a model: nodes that the residual stream passes in order. The leaves are blocks; hourglasses are nodes with a stack of their
/// own, and anything else that maps the stream to the stream can be one. The stack opens the stream before its first node and closes it
/// after the last, and it alone applies hooks and activation checkpointing to a block.
/// </summary>
public sealed class Stack : nn.Module<Tensor, ForwardContext, Tensor>
{
    private readonly IReadOnlyList<nn.Module<Tensor, ForwardContext, Tensor>> nodes;
    private readonly IReadOnlyList<Block> own;
    private BlockHooks? hooks;

    /// <param name="nodes">From the embedding to the head; their names are their numbers.</param>
    public Stack(IReadOnlyList<nn.Module<Tensor, ForwardContext, Tensor>> nodes) : base(nameof(Stack))
    {
        this.nodes = nodes;
        for (var i = 0; i < nodes.Count; i++) register_module($"{i}", nodes[i]);
        own = [.. nodes.OfType<Block>()];
        Blocks = [.. nodes.SelectMany(node => node switch
        {
            Block block => [block],
            ShortenedLayers hourglass => hourglass.Layers.Blocks,
            _ => (IReadOnlyList<Block>)[],
        })];
    }

    /// <summary>The stack of a model, or that of one of its hourglasses.</summary>
    /// <param name="model">The model.</param>
    /// <param name="nodes">The parts of the stack.</param>
    /// <exception cref="InputException">No layer is known for a kind of the configuration.</exception>
    public static Stack Of(ModelConfig model, IReadOnlyList<StackNode> nodes) => new(
        [.. nodes.Select(node => (nn.Module<Tensor, ForwardContext, Tensor>)(node switch
        {
            BlockSpec block => new Block(model, block),
            HourglassSpec hourglass => ShortenedLayers.FromConfig(model, hourglass),
            _ => throw new ArgumentOutOfRangeException(nameof(nodes), node, "no such part of a stack"),
        }))]);

    /// <summary>The blocks from the embedding to the head, those of hourglasses in their places.</summary>
    public IReadOnlyList<Block> Blocks { get; }

    /// <summary>
    /// What has a state in generation: the mixers of its own blocks, their attention to pictures, and its hourglasses, which hold the
    /// states of their layers; then the associative memories of its own blocks.
    /// </summary>
    internal IEnumerable<nn.Module> Stateful =>
        nodes.SelectMany(node => node is Block block ? block.Stateful : [node])
            .Concat(own.Select(block => block.Memory).OfType<nn.Module>());

    /// <summary>The empty state of one of <see cref="Stateful"/>.</summary>
    internal static LayerState NewState(nn.Module module, int rows, int length, Device device) => module switch
    {
        TokenMixer mixer => mixer.NewState(rows, length, device),
        ShortenedLayers hourglass => hourglass.NewState(rows, length, device),
        AssociativeMemory memory => memory.NewState(rows, device),
        PictureAttention attention => attention.NewState(rows, device),
        _ => throw new ArgumentOutOfRangeException(nameof(module), module.GetName(), "has no state"),
    };

    /// <summary>Hooks around each block, those of hourglasses too, or null.</summary>
    internal BlockHooks? Hooks
    {
        get => hooks;
        set
        {
            hooks = value;
            foreach (var hourglass in nodes.OfType<ShortenedLayers>()) hourglass.Layers.Hooks = value;
        }
    }

    /// <param name="x">[B, T, C]</param>
    /// <param name="context">What the layers of this pass share.</param>
    /// <returns>[B, T, C]</returns>
    public override Tensor forward(Tensor x, ForwardContext context)
    {
        var stream = Open(x);
        foreach (var node in nodes)
            stream = node switch
            {
                Block block => Compute(block, stream, context),
                ShortenedLayers hourglass => Open(hourglass.call(Close(stream), context)),    // it reads one vector a token
                _ => node.call(stream, context),
            };
        return Close(stream);
    }

    private Tensor Open(Tensor x) => own.Count == 0 ? x : own[0].Open(x);

    private Tensor Close(Tensor stream) => own.Count == 0 ? stream : own[^1].Close(stream);

    private Tensor Compute(Block block, Tensor stream, ForwardContext context)
    {
        if (Hooks is not null) stream = Hooks.BeforeBlock(block.Depth, stream);
        if (block.Memory is not { } memory) return ComputeBlock(block, stream, context);
        var output = ComputeBlock(block, memory.Read(stream, context), context);
        memory.Write(output, context);
        return output;
    }

    private Tensor ComputeBlock(Block block, Tensor stream, ForwardContext context)
    {
        if (context.Recomputation is not null) return CheckpointedBlock.Apply(block, stream, context, () => Hooks?.Parameters(block.Depth));
        using var parameters = Hooks?.Parameters(block.Depth);
        return block.call(stream, context);
    }
}
