using Transformer.Configuration;

namespace Transformer.Runs;

/// <summary>
/// Addition modulo a number (Power et al. 2022; Nanda et al. 2023, arXiv:2301.05217): a b =, to be answered with (a + b) mod p. The set is
/// all p^2 pairs: a fraction is trained on, and every other pair validates, so that only a rule that was found answers it.
/// </summary>
public sealed record ModularAdditionTaskConfig : TaskConfig
{
    private const int GreatestModulus = 10_000;

    /// <summary>p, the number of residues; prime where published.</summary>
    public int Modulus { get; init; } = 113;

    /// <summary>The fraction of all pairs that is trained on; which ones they are follows the task's seed.</summary>
    public double TrainingFraction { get; init; } = 0.3;

    /// <summary>The pairs to train on, at least one and not all.</summary>
    public override int? TrainingRows => (int)Math.Max(1, Math.Min(Math.Round(TrainingFraction * Pairs), Pairs - 1));

    /// <summary>Every other pair.</summary>
    public override int ValidationRows => Math.Max(1, Pairs - TrainingRows!.Value);

    /// <summary>a, b and the sign.</summary>
    public override int Length => 3;

    /// <summary>None of its own.</summary>
    public override int? ValidationLength => null;

    // p^2; bounded for values that are refused.
    private int Pairs => (int)Math.Pow(Math.Clamp(Modulus, 1, GreatestModulus), 2);

    private protected override IEnumerable<ConfigProblem> OwnProblems()
    {
        if (Modulus is < 2 or > GreatestModulus) yield return new("modulus", $"found {Modulus}, expected 2 to {GreatestModulus}");
        if (!(TrainingFraction is > 0 and < 1))
            yield return new("training_fraction", $"found {TrainingFraction}, expected more than 0 and less than 1");
    }
}
