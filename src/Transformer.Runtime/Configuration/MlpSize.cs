namespace Transformer.Configuration;

// C width · F hidden width · E experts · K active experts of a token

/// <summary>What the feed-forward layer of one block weighs and costs.</summary>
/// <param name="Parameters">All trainable numbers.</param>
/// <param name="Matrices">Those that are in matrices, whether a token uses them or not.</param>
/// <param name="MatrixParameters">Those that are multiplied with a token's vector.</param>
/// <param name="Activations">About how many numbers a token leaves for the backward pass, the layer's input not counted.</param>
/// <param name="Workspace">About how many numbers a token takes beside those while the layer is worked on, forward or backward, at most.</param>
internal sealed record MlpSize(long Parameters, long Matrices, long MatrixParameters, long Activations, long Workspace)
{
    /// <summary>The size of a block's feed-forward layer.</summary>
    public static MlpSize Of(MlpConfig config, long width)
    {
        if (config is NoMlpConfig) return new(0, 0, 0, 0, 0);
        if (config is MixtureMlpConfig mixture) return Mixture(mixture, width);
        long hidden = config.HiddenAt((int)width), into = config is SwiGluMlpConfig ? 2 : 1;    // gate and up, or up
        var matrices = (into + 1) * width * hidden;
        var biases = config.Bias ? into * hidden + width : 0;
        return new(matrices + biases, matrices, matrices, (into + 1) * hidden, into * hidden);
    }

    // An active expert keeps its copy of the token and its output, which is multiplied by the router's weight.
    private static MlpSize Mixture(MixtureMlpConfig config, long width)
    {
        var expert = Of(config.Expert, width);
        var router = config.Experts * width;
        return new(
            config.Experts * expert.Parameters + router,
            config.Experts * expert.Matrices + router,
            config.Active * expert.MatrixParameters + router,
            config.Active * (expert.Activations + 2 * width) + config.Experts,
            config.Active * expert.Workspace);
    }
}
