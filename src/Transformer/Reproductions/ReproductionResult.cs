namespace Transformer.Reproductions;

/// <summary>What became of a reproduction.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Paper">Authors, year and arXiv number.</param>
/// <param name="Claim">The claim, in one sentence.</param>
/// <param name="Seed">The seed.</param>
/// <param name="Figures">The figures; none where it failed.</param>
/// <param name="CoreSeconds">The processor time of its arms, what was done before an interruption left out.</param>
/// <param name="Failure">Why it could not be run to its end; null where it could.</param>
public sealed record ReproductionResult(
    string Name, string Paper, string Claim, int Seed, IReadOnlyList<FigureResult> Figures, double CoreSeconds,
    string? Failure = null)
{
    /// <summary>Whether all figures are within their bounds.</summary>
    public bool Holds => Failure is null && Figures.All(figure => figure.Holds);
}
