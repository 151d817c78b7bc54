using Transformer.Configuration;

namespace Transformer.Inference.Cpu;

// N tokens · C width

/// <summary>What a block uses to move information between positions.</summary>
internal abstract class MixerInference : FunctionInference
{
    /// <summary>The kinds that <see cref="Of"/> makes.</summary>
    public static IReadOnlyList<Type> Known { get; } =
    [
        typeof(SoftmaxAttentionConfig), typeof(LinearAttentionConfig), typeof(ConvolutionConfig), typeof(LatentAttentionConfig),
        typeof(ForgettingAttentionConfig), typeof(TransformerXlAttentionConfig),
    ];

    /// <inheritdoc/>
    public abstract override MixerState NewState(int rows, int length);

    /// <summary>The mixer of a block.</summary>
    /// <param name="plan">What all blocks share.</param>
    /// <param name="config">Its kind.</param>
    /// <param name="name">Its name with a dot at its end.</param>
    /// <param name="y">Where its output goes: [N, C].</param>
    /// <exception cref="InputException">No kernel is known for the kind.</exception>
    public static MixerInference Of(InferencePlan plan, AttentionConfig config, string name, Activations y) => config switch
    {
        SoftmaxAttentionConfig softmax => new SoftmaxInference(plan, softmax, name, y),
        LinearAttentionConfig linear => new LinearInference(plan, linear, name, y),
        ConvolutionConfig convolution => new ConvolutionInference(plan, convolution, name, y),
        LatentAttentionConfig latent => new LatentInference(plan, latent, name, y),
        ForgettingAttentionConfig forgetting => new ForgettingInference(plan, forgetting, name, y),
        TransformerXlAttentionConfig recurrent => new TransformerXlInference(plan, recurrent, name, y),
        _ => throw Kind.Unknown("model.attention", config, "CPU kernel"),
    };
}
