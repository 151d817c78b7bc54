namespace Transformer.Generation;

/// <summary>The counts of speculative decoding.</summary>
/// <param name="Passes">How often the model read the text's last token and draft tokens after it.</param>
/// <param name="Drafted">The draft tokens that it read.</param>
/// <param name="Accepted">Those that became tokens of the text.</param>
public sealed record SpeculationCount(int Passes, int Drafted, int Accepted)
{
    /// <summary>The fraction of draft tokens that were accepted; 0 where there were none.</summary>
    public double AcceptanceRate => Drafted == 0 ? 0 : (double)Accepted / Drafted;
}
