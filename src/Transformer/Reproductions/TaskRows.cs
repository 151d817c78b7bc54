namespace Transformer.Reproductions;

/// <summary>Rows of generated tasks that test memory and reasoning.</summary>
internal static class TaskRows
{
    private const string Model = "model", Early = "early", Solved = "solved", Full = "full", Dynamic = "dynamic", Long = "long";
    private const string Untouched = "training.stop_at_accuracy=null";

    public static IReadOnlyList<Reproduction> All { get; } =
    [
        new()
        {
            Name = "grokking",
            Paper = "Power et al. 2022, arXiv:2201.02177; Nanda et al. 2023, arXiv:2301.05217",
            Claim = "A model of modular addition knows its training pairs by heart long before it knows the rule.",
            Smaller = "modulus 31 instead of 113, 40 % of the pairs; with RMS norms, half the rate and four times the decay",
            Minutes = 1.5,
            Arms =
            [
                new TrainedArm(Early, "grokking", "training.steps=600", Untouched),
                new TrainedArm(Solved, "grokking"),
            ],
            Figures =
            [
                new("training loss after 600 steps", "near 0", Bound.AtMost(.01), arms => arms[Early, TrainedArm.TrainLossName]),
                new("accuracy on other pairs after 600 steps", "low", Bound.AtMost(.6), arms => arms.Accuracy(Early)),
                new("accuracy on other pairs at the end", "near 1", Bound.AtLeast(.99), arms => arms.Accuracy(Solved)),
            ],
        },
        new()
        {
            Name = "multi-hop",
            Paper = "Sukhbaatar et al. 2019, arXiv:1905.07799, for the windows; the task is ours",
            Claim = "A window that each token opens for itself recalls over several hops as full attention does, and is wide only " +
                "where an answer is asked for.",
            Smaller = "two hops at 64 and 256 tokens, three at 64, each hop an answer of its own; a convolution and one layer of attention",
            Minutes = 3,
            Arms =
            [
                new TrainedArm("three-hops", "multi-hop", "data.task.hops=3"),
                Hops(Full, 64, steps: 600),
                Hops(Dynamic, 64, steps: 600, "model.mixers.recall.window={kind: dynamic, maximum: 64, penalty: 1.0e-3}"),
                Hops($"{Full}-{Long}", 256, steps: 400),
                Hops($"{Dynamic}-{Long}", 256, steps: 400, "model.mixers.recall.window={kind: dynamic, maximum: 256, penalty: 1.0e-3}"),
            ],
            Figures =
            [
                new("accuracy over three hops, 64 tokens", "solved", Bound.AtLeast(.95), arms => arms.Accuracy("three-hops")),
                .. new[] { (Suffix: "", Tokens: 64), (Suffix: $"-{Long}", Tokens: 256) }.SelectMany(size => (Figure[])
                [
                    new($"accuracy of full attention less that of a dynamic window, {size.Tokens} tokens", "0", Bound.AtMost(.01),
                        arms => arms.Accuracy(Full + size.Suffix) - arms.Accuracy(Dynamic + size.Suffix)),
                    new($"mean span where an answer is asked for over that at blanks, {size.Tokens} tokens", "wider", Bound.AtLeast(3),
                        arms => arms[Dynamic + size.Suffix, TrainedArm.AskedSpanName]
                            / arms[Dynamic + size.Suffix, TrainedArm.BlankSpanName]),
                ]),
            ],
        },
        Task("selective-copy", "Gu and Dao 2023, arXiv:2312.00752, after Jing et al. 2019",
            "Attention copies symbols that are scattered among blanks.", "8 symbols among 48 places", 1.2, .99, "selective-copy"),
        Task("noisy-recall", "Poli et al. 2024, arXiv:2403.17844 (MAD)",
            "Attention recalls values of keys with noise among the pairs.",
            "64 tokens, 16 keys and 128 values; behind a convolution of two tokens", 0.2, .95,
            "multi-hop", "data.task={kind: noisy_recall, keys: 16, values: 128}"),
        Task("memorization", "Poli et al. 2024, arXiv:2403.17844 (MAD)",
            "A model learns by heart which value belongs to which key.", "4,096 facts, two layers of width 64", 0.3, .95,
            "selective-copy", "data.task={kind: memorization, keys: 4096}", "model.context_length=32"),
    ];

    private static Reproduction Task(
        string name, string paper, string claim, string smaller, double minutes, double least, string recipe, params string[] overrides)
        => new()
        {
            Name = name,
            Paper = paper,
            Claim = claim,
            Smaller = smaller,
            Minutes = minutes,
            Arms = [new TrainedArm(Model, recipe, overrides)],
            Figures = [new("accuracy", "solved", Bound.AtLeast(least), arms => arms.Accuracy(Model))],
        };

    private static TrainedArm Hops(string name, int tokens, int steps, params string[] overrides) => new(
        name, "multi-hop",
        [
            $"model.context_length={tokens}", $"data.task.length={tokens}", $"training.steps={steps}", "training.evaluate_every=200",
            Untouched, .. overrides,
        ])
    { MeasuresSpans = overrides.Length > 0 };
}
