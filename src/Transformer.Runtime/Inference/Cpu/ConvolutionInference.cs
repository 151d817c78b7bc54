using Transformer.Configuration;

namespace Transformer.Inference.Cpu;

// N tokens · C width · W tokens seen

/// <summary>A mixer that is a short convolution alone.</summary>
internal sealed unsafe class ConvolutionInference : MixerInference
{
    private readonly int width, seen;
    private readonly float* weight;
    private readonly Activations y;

    /// <param name="plan">What all blocks share.</param>
    /// <param name="config">W.</param>
    /// <param name="name">Its name with a dot at its end.</param>
    /// <param name="y">Where the output goes: [N, C].</param>
    public ConvolutionInference(InferencePlan plan, ConvolutionConfig config, string name, Activations y)
    {
        (width, seen, this.y) = (plan.Width, config.Tokens, y);
        weight = plan.Weights.Vector(name + "conv1d.weight");
    }

    /// <inheritdoc/>
    public override MixerState NewState(int rows, int length) => new ConvolutionTail(rows, seen, width);

    /// <inheritdoc/>
    public override void Run(TokenBatch batch, Activations x, MixerState state)
    {
        VectorKernels.Copy(x.Values, y.Values, batch.Tokens * width);
        for (var span = 0; span < batch.Spans; span++)
            ((ConvolutionTail)state).Convolve(batch.RowOf(span), y.Row(batch.First(span)), batch.Count(span), weight, 0, width);
    }
}
