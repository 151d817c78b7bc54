using Transformer.Configuration;
using Transformer.Layers.Attention;
using static TorchSharp.torch;

namespace Transformer.Layers;

/// <summary>
/// The mixer of a block, which moves information between positions: <c>forward(x [B, T, C], context, state) -> [B, T, C]</c>.
/// </summary>
/// <param name="name">The name of the module's kind.</param>
public abstract class TokenMixer(string name) : nn.Module<Tensor, ForwardContext, LayerState?, Tensor>(name)
{
    /// <summary>An empty state for generation.</summary>
    /// <param name="rows">B, the number of sequences.</param>
    /// <param name="length">The greatest number of tokens that a sequence may reach.</param>
    /// <param name="device">The state's device.</param>
    public abstract LayerState NewState(int rows, int length, Device device);

    /// <summary>The mixer of a block.</summary>
    /// <param name="config">The model that the block is part of.</param>
    /// <param name="layer">Which block, 0 being the one after the embedding.</param>
    /// <exception cref="InputException">No layer is known for the kind.</exception>
    public static TokenMixer FromConfig(ModelConfig config, int layer) => config.AttentionAt(layer) switch
    {
        SoftmaxAttentionConfig softmax => new SoftmaxAttention(
            softmax, config.Width, config.ScoreScale(softmax), givesFirstValues: config.ValueResidualLayers().FirstOrDefault(-1) == layer),
        LinearAttentionConfig linear => new LinearAttention(linear, config.Width),
        ConvolutionConfig convolution => new Convolution(convolution, config.Width),
        LatentAttentionConfig latent => new LatentAttention(latent, config.Width, config.ScoreScale(latent)),
        ForgettingAttentionConfig forgetting => new ForgettingAttention(
            forgetting, config.Width, config.ScoreScale(forgetting), config.Norm.Epsilon),
        TransformerXlAttentionConfig recurrent => new TransformerXlAttention(recurrent, config.Width, config.ScoreScale(recurrent)),
        var added => Kinds.Create<TokenMixer>("model.attention", added, config.Width),
    };
}
