using Transformer.Configuration;

namespace Transformer.Inference.Cpu;

// N tokens · C width

/// <summary>What a block uses to move information between positions.</summary>
internal abstract class MixerInference
{
    /// <summary>The state of rows that have no tokens yet.</summary>
    /// <param name="rows">How many rows.</param>
    /// <param name="length">The most tokens of a row.</param>
    public abstract MixerState NewState(int rows, int length);

    /// <summary>y = mixer(x), y being the buffer that the step was made with; the state takes in the tokens.</summary>
    /// <param name="batch">Which tokens these are.</param>
    /// <param name="x">[N, C]; kept.</param>
    /// <param name="state">What <see cref="NewState"/> made.</param>
    public abstract void Run(TokenBatch batch, Activations x, MixerState state);

    /// <summary>The mixer of a block.</summary>
    /// <param name="plan">What all blocks share.</param>
    /// <param name="layer">Which block.</param>
    /// <param name="y">Where its output goes: [N, C].</param>
    public static MixerInference Of(InferencePlan plan, int layer, Activations y) => plan.Model.AttentionAt(layer) switch
    {
        SoftmaxAttentionConfig softmax => new SoftmaxInference(plan, softmax, layer, y),
        LinearAttentionConfig linear => new LinearInference(plan, linear, layer, y),
        ConvolutionConfig convolution => new ConvolutionInference(plan, convolution, layer, y),
        var other => throw new ArgumentOutOfRangeException(nameof(layer), other, "no such attention"),
    };
}
