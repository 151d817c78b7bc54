namespace Transformer.Generation.Decoding;

/// <summary>What is done for each token by itself, shared out where there are many.</summary>
/// <param name="team">Who works.</param>
/// <param name="work">What is done for a token.</param>
internal sealed class EachToken(ThreadTeam team, Action<int> work) : ITeamWork
{
    private const int Together = 2;    // some microseconds of work, more than sharing it costs

    private int tokens;

    /// <summary>Does it for tokens 0 .. tokens - 1.</summary>
    public void Run(int tokens)
    {
        this.tokens = tokens;
        team.Run(this, (tokens + Together - 1) / Together);
    }

    /// <inheritdoc/>
    public void Do(int piece, int thread)
    {
        for (var token = piece * Together; token < Math.Min(tokens, (piece + 1) * Together); token++) work(token);
    }
}
