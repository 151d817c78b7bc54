using Transformer.Configuration;

namespace Transformer.Generation.Decoding;

// N tokens · C width · W tokens seen

/// <summary>A mixer that is a short convolution and nothing else.</summary>
internal sealed unsafe class ConvolutionStep : MixerStep
{
    private readonly int width, seen;
    private readonly float* weight;
    private readonly Activations y;

    /// <param name="plan">What all blocks share.</param>
    /// <param name="config">W.</param>
    /// <param name="layer">Which block.</param>
    /// <param name="y">Where the output goes: [N, C].</param>
    public ConvolutionStep(DecoderPlan plan, ConvolutionConfig config, int layer, Activations y)
    {
        (width, seen, this.y) = (plan.Width, config.Tokens, y);
        weight = plan.Weights.Vector(DecoderPlan.Block(layer) + "self_attn.conv1d.weight");
    }

    /// <inheritdoc/>
    public override MixerState NewState(int rows, int length) => new ConvolutionTail(rows, seen, width);

    /// <inheritdoc/>
    public override void Run(Pass pass, Activations x, MixerState state)
    {
        VectorKernels.Scale(1, x.Values, y.Values, pass.Tokens * width);
        for (var stretch = 0; stretch < pass.Stretches; stretch++)
            ((ConvolutionTail)state).Convolve(pass.RowOf(stretch), y.Row(pass.First(stretch)), pass.Count(stretch), weight, 0, width);
    }
}
