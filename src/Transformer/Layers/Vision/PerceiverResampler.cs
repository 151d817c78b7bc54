using TorchSharp.Modules;
using Transformer.Configuration;
using Transformer.Layers.Attention;
using Transformer.Layers.Norms;
using static TorchSharp.torch;

namespace Transformer.Layers.Vision;

// I pictures · N patches · M latents · C' width of the encoder · C width

/// <summary>
/// M learned vectors read the patches of a picture (Flamingo, Alayrac et al. 2022, arXiv:2204.14198, section 3.1): in each layer
/// z + CrossAttention(norm(z), [norm(x); norm(z)]), then z + MLP(norm(z)); at the end a norm and a map to the model's width.
/// </summary>
public sealed class PerceiverResampler : Projector
{
    private readonly Embedding latents;
    private readonly ModuleList<Reading> layers;
    private readonly nn.Module<Tensor, Tensor> norm;
    private readonly Linear proj;

    /// <param name="config">Latents, layers and heads.</param>
    /// <param name="encoder">The encoder as a model: its width and norms.</param>
    /// <param name="width">C.</param>
    public PerceiverResampler(PerceiverResamplerConfig config, ModelConfig encoder, int width) : base(nameof(PerceiverResampler))
    {
        latents = nn.Embedding(config.Latents, encoder.Width);
        layers = new([.. Enumerable.Range(0, config.Layers).Select(_ => new Reading(config, encoder))]);
        norm = Norm.FromConfig(encoder.Norm, encoder.Width);
        proj = new Linear(encoder.Width, width, hasBias: true);
        RegisterComponents();
    }

    /// <inheritdoc/>
    public override Tensor forward(Tensor x, ForwardContext context) => proj.call(context.ForMatmul(Resample(x, context)));

    /// <summary>What the latents are after their last layer and its norm: [I, N, C'] to [I, M, C'].</summary>
    public Tensor Resample(Tensor x, ForwardContext context)
    {
        var z = latents.weight!.unsqueeze(0).expand(x.shape[0], -1, -1);                            // [I, M, C']
        foreach (var layer in layers) z = layer.Read(z, x, context);
        return norm.call(z);
    }

    // One layer.
    private sealed class Reading : nn.Module
    {
        private readonly nn.Module<Tensor, Tensor> norm_media;
        private readonly nn.Module<Tensor, Tensor> norm_latents;
        private readonly CrossAttention cross_attn;
        private readonly nn.Module<Tensor, Tensor> norm_mlp;
        private readonly Mlp.Mlp mlp;

        public Reading(PerceiverResamplerConfig config, ModelConfig encoder) : base(nameof(Reading))
        {
            var (width, headWidth) = (encoder.Width, config.HeadWidthAt(encoder.Width));
            (norm_media, norm_latents) = (Norm.FromConfig(encoder.Norm, width), Norm.FromConfig(encoder.Norm, width));
            cross_attn = new CrossAttention(
                width, config.Heads, bias: false, encoder.Initialization.ScoreScale(headWidth), config.HeadWidthAt(width));
            norm_mlp = Norm.FromConfig(encoder.Norm, width);
            mlp = Mlp.Mlp.FromConfig(config.Mlp, width);
            RegisterComponents();
        }

        public Tensor Read(Tensor z, Tensor x, ForwardContext context)
        {
            var query = norm_latents.call(z);
            var source = cat([norm_media.call(x), query], 1);                                       // [I, N + M, C']
            z = z + cross_attn.call(context.ForMatmul(query), context with { Source = source });
            return z + mlp.call(context.ForMatmul(norm_mlp.call(z)), context);
        }
    }
}
