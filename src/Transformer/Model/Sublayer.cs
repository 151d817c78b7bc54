using Transformer.Configuration;
using Transformer.Layers;
using Transformer.Layers.Attention;
using Transformer.Layers.Mlp;
using Transformer.Layers.Norms;
using Transformer.Layers.Residuals;
using Transformer.Layers.Vision;
using static TorchSharp.torch;

namespace Transformer.Model;

// B batch · T tokens · C width

/// <summary>
/// One sub-layer of a block: a function between norms, within a residual. It is not a module itself: its parts are modules of
/// the block, by their names in checkpoints.
/// </summary>
public sealed class Sublayer
{
    private readonly SublayerSpec names;
    private readonly nn.Module<Tensor, Tensor>? normBefore, normAfter;
    private readonly nn.Module module;
    private readonly Func<Tensor, ForwardContext, Tensor> function;
    private readonly Residual residual;

    private Sublayer(ModelConfig config, SublayerSpec names, nn.Module module, Func<Tensor, ForwardContext, Tensor> function)
    {
        (this.names, this.module, this.function) = (names, module, function);
        if (names.NormBefore is not null) normBefore = Norm.FromConfig(config.Norm, config.Width);
        if (names.NormAfter is not null) normAfter = Norm.FromConfig(config.Norm, config.Width);
        residual = Residual.FromConfig(config, names, normBefore, normAfter);
    }

    /// <summary>A sub-layer that moves information between positions.</summary>
    /// <param name="config">The model: its norms and its residual.</param>
    /// <param name="names">What the modules are called.</param>
    /// <param name="mixer">The function.</param>
    public Sublayer(ModelConfig config, SublayerSpec names, TokenMixer mixer)
        : this(config, names, mixer, (x, context) => mixer.call(x, context, context.StateOf(mixer))) { }

    /// <summary>A sub-layer that reads from other vectors than those of the stream.</summary>
    /// <param name="config">The model: its norms and its residual.</param>
    /// <param name="names">What the modules are called.</param>
    /// <param name="attention">The function.</param>
    public Sublayer(ModelConfig config, SublayerSpec names, CrossAttention attention)
        : this(config, names, attention, (x, context) => attention.call(x, context)) { }

    /// <summary>A sub-layer that computes at each position by itself.</summary>
    /// <param name="config">The model: its norms and its residual.</param>
    /// <param name="names">What the modules are called.</param>
    /// <param name="mlp">The function.</param>
    public Sublayer(ModelConfig config, SublayerSpec names, Mlp mlp) : this(config, names, mlp, (x, context) => mlp.call(x, context)) { }

    /// <summary>A sub-layer of a model's block.</summary>
    /// <exception cref="InputException">No layer is known for a kind of the configuration.</exception>
    public static Sublayer FromConfig(ModelConfig config, BlockSpec block, SublayerSpec names) => names.Name switch
    {
        SublayerSpec.Mixer => new(config, names, TokenMixer.FromConfig(config, block.Depth)),
        SublayerSpec.FeedForward => new(config, names, Mlp.FromConfig(block.Mlp, config.Width)),
        SublayerSpec.CrossAttention when config.Vision is GatedCrossAttentionConfig cross => new(config, names, new PictureAttention(
            cross, config.Width, config.Initialization.ScoreScale(cross.HeadWidthAt(config.Width)))),
        SublayerSpec.CrossFeedForward when config.Vision is GatedCrossAttentionConfig cross =>
            new(config, names, Mlp.FromConfig(cross.Mlp, config.Width)),
        var other => throw new ArgumentOutOfRangeException(nameof(names), other, "no such sub-layer"),
    };

    /// <summary>The function's module: a <see cref="TokenMixer"/>, a <see cref="CrossAttention"/> or an <see cref="Mlp"/>.</summary>
    public nn.Module Function => module;

    /// <summary>How the function joins the stream.</summary>
    public Residual Residual => residual;

    /// <summary>Norms and function by name, in the order of the stream.</summary>
    internal IEnumerable<(string Name, nn.Module Module)> Modules
    {
        get
        {
            if (normBefore is not null) yield return (names.NormBefore!, normBefore);
            yield return (names.Name, module);
            if (normAfter is not null) yield return (names.NormAfter!, normAfter);
        }
    }

    /// <summary>What the residual's module is called.</summary>
    internal string ResidualName => names.Residual;

    /// <param name="stream">[B, T, C], or what <see cref="Residual.Open"/> made of it.</param>
    /// <param name="context">What the layers of this pass share.</param>
    /// <param name="dropout">The probability with which numbers of the function's output are dropped.</param>
    /// <returns>The stream after this sub-layer, of the same shape.</returns>
    internal Tensor Apply(Tensor stream, ForwardContext context, double dropout) =>
        residual.Apply(stream, x => Drop(context.OverRanks(x, x => function(context.ForMatmul(x), context)), dropout));

    private static Tensor Drop(Tensor x, double dropout) => dropout > 0 ? nn.functional.dropout(x, dropout) : x;
}
