using TorchSharp.Modules;
using Transformer.Configuration;
using Transformer.Layers;
using Transformer.Layers.Norms;
using Transformer.Layers.Vision;
using Transformer.Native;
using static TorchSharp.torch;
using Linear = Transformer.Layers.Linear;

namespace Transformer.Model.Vision;

// I pictures · S side of a picture · N patches · C' width of the encoder · C width

/// <summary>
/// Everything that reads pictures outside of the text's blocks: patches, their positions, blocks in which each patch sees all patches
/// (Dosovitskiy et al. 2020, arXiv:2010.11929), and the projector: <c>forward(pictures [I, 3, S, S], context) -> [I, N', C]</c>.
/// </summary>
public sealed class PictureEncoder : nn.Module<Tensor, ForwardContext, Tensor>
{
    private readonly int patch, stride;
    private readonly Embedding? mark;
    private readonly ConvolutionalStem? stem;
    private readonly Linear patch_embedding;
    private readonly PicturePosition positions;
    private readonly Stack layers;
    private readonly nn.Module<Tensor, Tensor>? norm;
    private readonly Projector projector;

    /// <param name="model">The model that it is part of, which has a <see cref="ModelConfig.Vision"/>.</param>
    /// <exception cref="InputException">No layer is known for a kind of the configuration.</exception>
    public PictureEncoder(ModelConfig model) : base(nameof(PictureEncoder))
    {
        var config = model.Vision!;
        var encoder = config.Encoder.ModelOf(model, config.Patches);
        (patch, stride) = (config.Patch, config.Stride ?? config.Patch);
        if (config is GatedCrossAttentionConfig) mark = nn.Embedding(1, model.Width);
        if (config.Stem is not null) stem = new ConvolutionalStem(config.Stem, model.Norm);
        patch_embedding = new Linear(config.PatchNumbers, encoder.Width, hasBias: true);
        positions = new PicturePosition(config.Encoder.Positions, config.GridSide, encoder.Width);
        layers = Stack.Of(encoder, encoder.Nodes());
        if (config.Encoder.Layers > 0) norm = Norm.FromConfig(encoder.Norm, encoder.Width);
        projector = Projector.FromConfig(config.Projector, encoder, model.Width);
        RegisterComponents();
    }

    /// <summary>What stands in the text where a picture is, [1, C]; null where the picture's own vectors do.</summary>
    public Parameter? Mark => mark?.weight;

    /// <summary>What the last block gives, normalised: [I, 3, S, S] to [I, N, C'].</summary>
    public Tensor Encode(Tensor pictures, ForwardContext context)
    {
        var channels = stem is null ? pictures : stem.call(pictures, context);
        var x = patch_embedding.call(context.ForMatmul(PatchEmbedding.Patches(channels, patch, stride))).ToFloat32();   // [I, N, C']
        x = layers.call(positions.call(x), context);
        return norm?.call(x) ?? x;
    }

    /// <inheritdoc/>
    public override Tensor forward(Tensor pictures, ForwardContext context) =>
        projector.call(Encode(pictures, context), context).ToFloat32();
}
