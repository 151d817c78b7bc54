using System.Globalization;

namespace Transformer.Reproductions;

/// <summary>Rows whose experiments are no plain training runs, each a verb of its own too.</summary>
internal static class MemoryRows
{
    private const string Loss = "loss", Longest = "accuracy_256", PreNorm = "pre_norm", PostNorm = "post_norm";
    private const int ParitySeeds = 3;

    // Of the paper's table, what takes minutes, and what must be so for each: a solved memory, one that is too small, one with repetition.
    private static readonly (RetrievalRule Rule, bool Replacement, int Keys, Bound Bound)[] Cells =
    [
        (RetrievalRule.Softmax, false, 100, Bound.AtMost(.005)),
        (RetrievalRule.Elu, false, 40, Bound.AtMost(.005)),
        (RetrievalRule.Elu, false, 60, Bound.AtMost(.049)),
        (RetrievalRule.Elu, false, 100, Bound.Within(.041, of: .164)),
        (RetrievalRule.Dpfp1, false, 100, Bound.AtMost(.005)),
        (RetrievalRule.Dpfp1, true, 20, Bound.AtLeast(.08)),
        (RetrievalRule.Delta, true, 20, Bound.AtMost(.01)),
        (RetrievalRule.Delta, true, 40, Bound.AtMost(.01)),
    ];

    public static IReadOnlyList<Reproduction> All { get; } =
    [
        new()
        {
            Name = "residual-gradients",
            Paper = "Xiong et al. 2020, arXiv:2002.04745, figure 3",
            Claim = "At initialization the gradient of the last MLP falls with the root of the depth under pre-norm, and does not depend " +
                "on it under post-norm.",
            Smaller = "width 64, random tokens, 5 models of each depth from 2 to 32",
            Minutes = 0.1,
            Arms = [new ComputedArm("slopes", (seed, cancellation) => Slopes(ResidualGradients.Run(seed, cancellation: cancellation)))],
            Figures =
            [
                new("slope of ln(norm) over ln(depth), pre-norm", "-1/2", Bound.Within(.1, of: -.5), arms => arms["slopes", PreNorm]),
                new("slope of ln(norm) over ln(depth), post-norm", "0", Bound.Within(.1, of: 0), arms => arms["slopes", PostNorm]),
            ],
        },
        new()
        {
            Name = "associative-retrieval",
            Paper = "Schlag et al. 2021, arXiv:2102.11174, section 6.1",
            Claim = "A sum of outer products holds as many associations as its features are wide, and only the delta rule overwrites " +
                "a value.",
            Smaller = $"{Cells.Length} of the paper's cells; seed 2, since 1337 ends in a local minimum of the smallest memory. Bounds: " +
                "0.005 where a sum solves it, else within a quarter of the published loss, or a factor of two where that is below 0.05; " +
                "where keys repeat, the delta rule below 0.01 and the sum above 0.08",
            Minutes = 3,
            Seed = 2,
            Arms = [.. Cells.Select(cell => new ComputedArm(NameOf(cell), (seed, cancellation) => new Dictionary<string, double>
            {
                [Loss] = AssociativeRetrieval.Run(cell.Rule, cell.Replacement, cell.Keys, seed, cancellation: cancellation).Loss,
            }))],
            Figures = [.. Cells.Select(cell => new Figure(
                $"loss of {RuleOf(cell)}, {cell.Keys} keys{(cell.Replacement ? " that repeat" : "")}", PublishedLoss(cell), cell.Bound,
                arms => arms[NameOf(cell), Loss]))],
        },
        new()
        {
            Name = "parity",
            Paper = "Grazzi et al. 2024, arXiv:2411.12537",
            Claim = "DeltaNet solves parity past the trained length with eigenvalues from -1 to 1, and not with those from 0 to 1.",
            Smaller = $"one layer of width 32, trained on 40 bits for {Parity.DefaultSteps} steps, measured at 256 bits; three seeds",
            Minutes = 3,
            Arms = [.. new[] { false, true }.SelectMany(negative => Enumerable.Range(0, ParitySeeds).Select(
                index => new ComputedArm(NameOf(negative, index), (seed, cancellation) => new Dictionary<string, double>
                {
                    [Longest] = Parity.Run(negative, seed + index, cancellation: cancellation).Curve[^1].Accuracy,
                })))],
            Figures =
            [
                new("accuracy at 256 bits, eigenvalues 0 to 1, best of three seeds", "chance, 0.5", Bound.AtMost(.6),
                    arms => Best(arms, negative: false)),
                new("accuracy at 256 bits, eigenvalues -1 to 1, best of three seeds", "solved", Bound.AtLeast(.99),
                    arms => Best(arms, negative: true)),
            ],
        },
    ];

    private static Dictionary<string, double> Slopes(ResidualGradients result) =>
        new() { [PreNorm] = result.PreNormSlope, [PostNorm] = result.PostNormSlope };

    private static string NameOf((RetrievalRule Rule, bool Replacement, int Keys, Bound Bound) cell) =>
        $"{RuleOf(cell)}-{cell.Keys}{(cell.Replacement ? "-repeated" : "")}";

    private static string RuleOf((RetrievalRule Rule, bool Replacement, int Keys, Bound Bound) cell) =>
        cell.Rule.ToString().ToLowerInvariant();

    private static string PublishedLoss((RetrievalRule Rule, bool Replacement, int Keys, Bound Bound) cell) =>
        AssociativeRetrieval.Figures[(cell.Rule, cell.Replacement, cell.Keys)]?.ToString(CultureInfo.InvariantCulture) ?? "solved";

    private static string NameOf(bool negative, int index) => $"{(negative ? "negative" : "positive")}-{index + 1}";

    private static double Best(ArmResults arms, bool negative) =>
        Enumerable.Range(0, ParitySeeds).Max(index => arms[NameOf(negative, index), Longest]);
}
