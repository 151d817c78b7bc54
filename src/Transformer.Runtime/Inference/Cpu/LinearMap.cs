namespace Transformer.Inference.Cpu;

// N tokens · I inputs · O outputs

/// <summary>y = W x + b and where y goes.</summary>
/// <param name="weight">W: [O, I].</param>
/// <param name="bias">b: [O], or null.</param>
/// <param name="output">y: [N, O].</param>
internal sealed unsafe class LinearMap(WeightMatrix weight, float* bias, Activations output)
{
    private readonly float* bias = bias;

    /// <summary>W.</summary>
    public WeightMatrix Weight { get; } = weight;

    /// <summary>Some of the outputs of all tokens.</summary>
    public void Apply(Activations x, int tokens, int first, int end)
    {
        Weight.Multiply(x, tokens, first, end, output.Values, output.Width);
        if (bias is null) return;
        for (var token = 0; token < tokens; token++)
        {
            var y = output.Row(token);
            for (var o = first; o < end; o++) y[o] += bias[o];
        }
    }
}
