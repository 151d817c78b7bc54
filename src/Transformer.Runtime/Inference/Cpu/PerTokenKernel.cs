namespace Transformer.Inference.Cpu;

/// <summary>Work on each token by itself, distributed over the threads where there are many.</summary>
/// <param name="team">The threads.</param>
/// <param name="work">The work on a token.</param>
internal sealed class PerTokenKernel(ThreadTeam team, Action<int> work) : IParallelKernel
{
    private const int TokensPerPiece = 2;    // some microseconds of work, more than sharing it costs

    private int tokens;

    /// <summary>Does it for tokens 0 .. tokens - 1.</summary>
    public void Run(int tokens)
    {
        this.tokens = tokens;
        team.Run(this, (tokens + TokensPerPiece - 1) / TokensPerPiece);
    }

    /// <inheritdoc/>
    public void Do(int piece, int thread)
    {
        for (var token = piece * TokensPerPiece; token < Math.Min(tokens, (piece + 1) * TokensPerPiece); token++) work(token);
    }
}
