using Transformer.Configuration;

namespace Transformer.Inference.Cpu;

// N tokens · C width · n streams

/// <summary>
/// The residual stream of some blocks: one vector a token before and behind them and, under hyper-connections, n between, which begin as
/// copies of it and end as their mean.
/// </summary>
internal sealed unsafe class ResidualStreams
{
    private readonly int count;

    /// <param name="plan">What all layers share.</param>
    /// <param name="vectors">The stream outside of the blocks: [N, C].</param>
    /// <param name="name">The name of the buffer of n streams.</param>
    /// <param name="hasBlocks">Whether there are any blocks.</param>
    public ResidualStreams(InferencePlan plan, Activations vectors, string name, bool hasBlocks)
    {
        count = hasBlocks && plan.Model.Residual is HyperConnectionsResidualConfig hyper ? hyper.Streams : 1;
        (Vectors, Streams) = (vectors, count == 1 ? vectors : plan.Workspace.Buffer(name, count * plan.Width));
    }

    /// <summary>The stream outside of the blocks: [N, C].</summary>
    public Activations Vectors { get; }

    /// <summary>The stream between the blocks: [N, n C]; the same buffer where there is one stream.</summary>
    public Activations Streams { get; }

    /// <summary>Copies the vector of each token to all streams.</summary>
    /// <param name="tokens">N.</param>
    public void Open(int tokens)
    {
        if (count == 1) return;
        for (var token = 0; token < tokens; token++)
            for (var copy = 0; copy < count; copy++)
                VectorKernels.Copy(Vectors.Row(token), Streams.Row(token) + copy * Vectors.Width, Vectors.Width);
    }

    /// <summary>The mean of the streams of each token.</summary>
    /// <param name="tokens">N.</param>
    public void Close(int tokens)
    {
        if (count == 1) return;
        for (var token = 0; token < tokens; token++)
        {
            float* all = Streams.Row(token), x = Vectors.Row(token);
            VectorKernels.Scale(1f / count, all, x, Vectors.Width);
            for (var other = 1; other < count; other++) VectorKernels.AddScaled(1f / count, all + other * Vectors.Width, x, Vectors.Width);
        }
    }
}
