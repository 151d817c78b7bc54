using System.Numerics;

namespace Transformer.Configuration;

// T tokens · C width · H heads · G key/value heads · D head width · F feature width · E value width · W tokens of a convolution

/// <summary>What the mixer of one block weighs and costs.</summary>
/// <param name="Parameters">All trainable numbers.</param>
/// <param name="MatrixParameters">Those that are multiplied with every token's vector.</param>
/// <param name="MixingFlops">The operations of training that move information between positions, a token of a sequence of T.</param>
/// <param name="Activations">About how many numbers a token leaves for the backward pass.</param>
/// <param name="Workspace">About how many numbers a token takes beside those while the layer is worked on, forward or backward, at most.</param>
/// <param name="StateNumbers">How many numbers generation keeps after T tokens.</param>
internal sealed record MixerSize(
    long Parameters, long MatrixParameters, Func<long, double> MixingFlops, long Activations, long Workspace, Func<long, long> StateNumbers)
{
    /// <summary>The size of a block's mixer.</summary>
    public static MixerSize Of(ModelConfig config, int layer) => config.AttentionAt(layer) switch
    {
        SoftmaxAttentionConfig softmax => Softmax(softmax, config.Width, mixesValues: config.ValueResidualLayers().Skip(1).Contains(layer)),
        LinearAttentionConfig linear => Linear(linear, config.Width),
        ConvolutionConfig { Tokens: var seen } => new(seen * (long)config.Width, 0, _ => 6.0 * seen * config.Width, 2 * config.Width, 2 * config.Width, _ => (seen - 1L) * config.Width),
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
        var vectors = config.Window is DynamicWindowConfig ? config.Heads * width : 0;        // v, a head's
        var spans = config.Window is LearnedWindowConfig ? config.Heads : 0;                  // p, or b
        return new(
            matrices + vectors + biases + norms + spans + mix, matrices + vectors,
            tokens => 12.0 * KeysSeen(config.Window, tokens) * queries,                       // q k^T and the sum over v, three times
            2 * width + 2 * queries + (mixesValues ? 3 : 2) * keys + config.Heads * (config.Window is FullWindowConfig ? 1 : 2),
            2 * queries + 2 * keys,
            tokens => 2 * keys * config.Window.KeysAt(tokens - 1));
    }

    // How many keys a token of T sees in the mean, its own counted half: T / 2 without a window. Learned windows count as if they were at their maximum.
    private static double KeysSeen(WindowConfig window, long tokens)
    {
        var sum = 0.0;
        for (long t = 0; t < tokens; t++) sum += Math.Min(t + 0.5, window.KeysAt(t));
        return sum / tokens;
    }

    private static MixerSize Linear(LinearAttentionConfig config, long width)
    {
        var (isDelta, isStepped, isGla) = (config.HasBeta, config.HasStep, config.Rule == LinearRule.Gla);
        long heads = config.Heads, headWidth = config.HeadWidthAt((int)width), features = config.FeatureWidthAt((int)width), value = config.ValueWidthAt((int)width);
        long keys = heads * headWidth, values = heads * value, convolved = 2 * keys + values;
        var matrices = width * (2 * keys + 2 * values)                                        // q and k, v and o
            + (config.IsOutputGated ? width * values : 0)
            + (isDelta ? width * heads : 0) + (isStepped ? width * heads : 0) + (isGla ? LinearAttentionConfig.GateRank * (width + keys) : 0);
        var others = config.Convolution * convolved + (isStepped ? 2 * heads : 0) + (isGla ? keys : 0) + (config.IsNormalised ? 0 : value);
        var products = isDelta ? 3 : 2;                                                       // write and read; the delta rule reads what it replaces too
        var state = heads * features * (value + (config.IsNormalised ? 1 : 0)) + Math.Max(0, config.Convolution - 1) * convolved;
        var hasDecay = isStepped || isGla || config.Rule == LinearRule.Retention;
        var tokens = config.ChunkLength;
        var written = heads * (2 * headWidth + 2 * features + value                           // q and k before and after they are turned, v
            + (hasDecay ? 2 * features : 0)                                                   // q from the start of a chunk, k to its end
            + (isDelta ? (hasDecay ? 3 : 2) * features + 2 * value + 4 * tokens : 2 * tokens) // what is written and what it replaces; products of pairs
            + (isGla ? 2 * features * (1 + BitOperations.Log2((ulong)tokens)) : 0)            // decays of components, half by half
            + 2 * features * value / tokens + (isDelta && hasDecay ? features * features / tokens : 0));    // the states
        var read = heads * value * (config.IsOutputGated ? 5 : 2);                            // the output, normalised and gated
        return new(
            matrices + others, matrices,
            _ => 6.0 * products * heads * features * value,
            2 * width + (config.Convolution > 0 ? 2 : config.IsConvolvable ? 1 : 0) * convolved + written + read,
            2 * written,                                                                      // going forward, until the block is over
            _ => state);
    }
}
