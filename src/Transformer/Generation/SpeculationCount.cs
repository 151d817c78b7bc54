namespace Transformer.Generation;

/// <summary>What speculative decoding came to.</summary>
/// <param name="Passes">How often the model read the text's last token and guesses after it.</param>
/// <param name="Guessed">The guesses that it read.</param>
/// <param name="Accepted">Those that became tokens of the text.</param>
public sealed record SpeculationCount(int Passes, int Guessed, int Accepted)
{
    /// <summary>The share of guesses that became tokens; 0 where there was none.</summary>
    public double AcceptanceRate => Guessed == 0 ? 0 : (double)Accepted / Guessed;
}
