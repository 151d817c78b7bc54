namespace Transformer.Inference.Cpu;

// N tokens · H heads · I inputs · O outputs

/// <summary>A linear map a head, each of inputs of its own, in one parallel step.</summary>
/// <param name="team">The threads.</param>
/// <param name="inputs">The inputs of each head: H x [N, I].</param>
/// <param name="output">Where the results go, one head's behind the other's: [N, H stride] at least.</param>
/// <param name="stride">From one head's results to the next's, O or more.</param>
/// <param name="weights">The matrix of each head: H x [O, I].</param>
internal sealed unsafe class PerHeadProducts(
    ThreadTeam team, Activations[] inputs, Activations output, int stride, WeightMatrix[] weights) : IParallelKernel
{
    private int tokens;

    /// <summary>Computes the results of all heads.</summary>
    /// <param name="tokens">N.</param>
    public void Run(int tokens)
    {
        this.tokens = tokens;
        team.Run(this, weights.Length);
    }

    /// <inheritdoc/>
    public void Do(int piece, int thread)
    {
        var (weight, x) = (weights[piece], inputs[piece]);
        if (weight.TakesQuantized)
            for (var token = 0; token < tokens; token++) x.Quantize(token);
        weight.Multiply(x, tokens, 0, weight.Outputs, output.Values + piece * stride, output.Width);
    }
}
