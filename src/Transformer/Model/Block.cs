using Transformer.Configuration;
using Transformer.Layers;
using Transformer.Layers.Memory;
using Transformer.Layers.Residuals;
using Transformer.Layers.Vision;
using static TorchSharp.torch;

namespace Transformer.Model;

// B batch · T tokens · C width

/// <summary>
/// One layer of the stack, a list of sub-layers: tokens exchange information, then each is processed by itself. How a sub-layer joins the
/// stream is up to its residual; for pre-norm (Xiong et al. 2020) it is x + attention(norm(x)), then x + mlp(norm(x)).
/// </summary>
public sealed class Block : nn.Module<Tensor, ForwardContext, Tensor>
{
    private readonly IReadOnlyList<Sublayer> sublayers;
    private readonly double dropout;
    private readonly AssociativeMemory? memory;

    /// <summary>A block of a model.</summary>
    /// <param name="config">The model that the block is part of.</param>
    /// <param name="block">One of its <see cref="ModelConfig.Blocks"/>.</param>
    /// <exception cref="InputException">No layer is known for a kind of the configuration.</exception>
    public Block(ModelConfig config, BlockSpec block) : this(
        [.. block.Sublayers.Select(sublayer => Sublayer.FromConfig(config, block, sublayer))], block.Depth, config.Dropout,
        config.Memory is AssociativeMemoryConfig memory ? new AssociativeMemory(memory, config.Width) : null)
    { }

    /// <param name="sublayers">The sub-layers in order; the first opens the stream and the last closes it.</param>
    /// <param name="depth">How many blocks come before this one.</param>
    /// <param name="dropout">The probability with which numbers of the sub-layers' outputs are dropped in training.</param>
    /// <param name="memory">What is read before the block and written behind it; null for a block without.</param>
    public Block(IReadOnlyList<Sublayer> sublayers, int depth, double dropout = 0, AssociativeMemory? memory = null)
        : base(nameof(Block))
    {
        (this.sublayers, this.dropout, this.memory, Depth) = (sublayers, dropout, memory, depth);
        foreach (var (name, module) in sublayers.SelectMany(sublayer => sublayer.Modules)) register_module(name, module);
        if (memory is not null) register_module(BlockSpec.Memory, memory);
        foreach (var sublayer in sublayers) register_module(sublayer.ResidualName, sublayer.Residual);
    }

    /// <summary>How many blocks come before this one.</summary>
    public int Depth { get; }

    /// <summary>What is read before the block and written behind it, by whoever calls it; null for a block without.</summary>
    public AssociativeMemory? Memory => memory;

    /// <summary>Its functions that have a state in generation, in the order of the stream: mixers and attention to pictures.</summary>
    public IEnumerable<nn.Module> Stateful =>
        sublayers.Select(sublayer => sublayer.Function).Where(function => function is TokenMixer or PictureAttention);

    /// <inheritdoc cref="Residual.Open"/>
    internal Tensor Open(Tensor x) => sublayers[0].Residual.Open(x);

    /// <inheritdoc cref="Residual.Close"/>
    internal Tensor Close(Tensor stream) => sublayers[^1].Residual.Close(stream);

    /// <param name="stream">[B, T, C], or what <see cref="Residual.Open"/> made of it.</param>
    /// <param name="context">What the layers of this pass share.</param>
    /// <returns>The stream after this block, of the same shape.</returns>
    public override Tensor forward(Tensor stream, ForwardContext context)
    {
        using var scope = NewDisposeScope();
        foreach (var sublayer in sublayers) stream = sublayer.Apply(stream, context, training ? dropout : 0);
        return scope.MoveToOuter(stream);
    }
}
