using Transformer.Configuration;

namespace Transformer.Model;

// T tokens · C width · H heads · G key/value heads · D head width

/// <summary>What the mixer of one block weighs and costs.</summary>
/// <param name="Parameters">All trainable numbers.</param>
/// <param name="MatrixParameters">Those that are multiplied with every token's vector.</param>
/// <param name="MixingFlops">The operations of training that move information between positions, a token of a sequence of T.</param>
/// <param name="Activations">About how many numbers a token leaves for the backward pass.</param>
/// <param name="StateNumbers">How many numbers generation keeps after T tokens.</param>
internal sealed record MixerSize(
    long Parameters, long MatrixParameters, Func<long, double> MixingFlops, long Activations, Func<long, long> StateNumbers)
{
    /// <summary>The size of a block's mixer.</summary>
    public static MixerSize Of(ModelConfig config, int layer) => config.AttentionAt(layer) switch
    {
        SoftmaxAttentionConfig softmax => Softmax(softmax, config.Width, mixesValues: config.ValueResidualLayers().Skip(1).Contains(layer)),
        var other => throw new ArgumentOutOfRangeException(nameof(config), other, "no such attention"),
    };

    private static MixerSize Softmax(SoftmaxAttentionConfig config, long width, bool mixesValues)
    {
        var headWidth = config.HeadWidthAt((int)width);
        long queries = config.Heads * headWidth, keys = (config.KvHeads ?? config.Heads) * headWidth;
        var matrices = 2 * width * (queries + keys);                                          // q and o, k and v
        var biases = config.Bias ? queries + 2 * keys + width : 0;                            // q, k and v, o
        var norms = config.QueryKeyNorm ? 2 * headWidth : 0;
        var mix = mixesValues ? 2 : 0;
        return new(
            matrices + biases + norms + mix, matrices,
            tokens => 6.0 * tokens * queries,                                                 // q k^T and the sum over v, half of them behind the mask
            2 * width + 2 * queries + (mixesValues ? 3 : 2) * keys + config.Heads,
            tokens => 2 * keys * tokens);
    }
}
