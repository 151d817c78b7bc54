using Transformer.Configuration;
using Transformer.Layers;
using Transformer.Layers.Attention;
using Transformer.Layers.Mlp;
using static TorchSharp.torch;

namespace Transformer.Model.Hierarchy;

// N groups of all rows · n queries of a group · m vectors that they read · C width

/// <summary>
/// Attention across an edge of an hourglass and a feed-forward layer, in each group by itself (Nawrot et al. 2021, arXiv:2110.13711,
/// section 2.4): a block whose queries alone are normalised.
/// </summary>
internal static class Resampling
{
    /// <summary>The block.</summary>
    /// <param name="model">The model: its feed-forward layer, norms and residual.</param>
    /// <param name="heads">H.</param>
    /// <param name="bias">Whether the projections have biases.</param>
    public static Block Block(ModelConfig model, int heads, bool bias)
    {
        var names = model.SublayersFrom(SublayerSpec.CrossAttention, first: 0);
        var scale = model.Initialization.ScoreScale((double)model.Width / heads);
        var attention = new Sublayer(model, names[0], new CrossAttention(model.Width, heads, bias, scale));
        return new Block(
            names.Count == 1 ? [attention] : [attention, new Sublayer(model, names[1], Mlp.FromConfig(model.Mlp, model.Width))],
            depth: 0, model.Dropout);
    }

    /// <summary>What becomes of vectors that read others of their group.</summary>
    /// <param name="block">The block.</param>
    /// <param name="queries">[N, n, C]</param>
    /// <param name="source">[N, m, C]</param>
    /// <param name="context">What the layers of this pass share.</param>
    /// <returns>[N, n, C]</returns>
    public static Tensor Apply(Block block, Tensor queries, Tensor source, ForwardContext context) =>
        block.Close(block.call(block.Open(queries), context with { Source = source }));
}
