namespace Transformer.Reproductions;

/// <summary>Rows of generated tasks that test memory and reasoning.</summary>
internal static class TaskRows
{
    private const string Model = "model", Early = "early", Solved = "solved", Full = "full", Dynamic = "dynamic";
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
            Claim = "A window that each token opens for itself recalls over two hops as full attention does, and is wide only where an " +
                "answer is asked for.",
            Smaller = "64 tokens with the last hop alone answered, by a convolution and two layers of attention; 256 tokens with each " +
                "hop answered in turn, given the hops before, by one layer",
            Minutes = 6,
            Arms =
            [
                TwoHops(Full, window: null), TwoHops(Dynamic, DynamicWindow(64)),
                Chain($"{Full}-chain", window: null), Chain($"{Dynamic}-chain", DynamicWindow(256)),
            ],
            Figures =
            [
                new("accuracy of full attention, last hop alone, 64 tokens", "solved", Bound.AtLeast(.95), arms => arms.Accuracy(Full)),
                .. Windows("last hop alone, 64 tokens", ""),
                .. Windows("each hop in turn, 256 tokens", "-chain"),
            ],
        },
        Task("selective-copy", "Gu and Dao 2023, arXiv:2312.00752, after Jing et al. 2019",
            "Attention copies symbols that are scattered among blanks.", "8 symbols among 48 places", 1.2, .99, "selective-copy"),
        Task("noisy-recall", "Poli et al. 2024, arXiv:2403.17844 (MAD)",
            "Attention recalls values of keys with noise among the pairs.",
            "64 tokens, behind a convolution of two; 16 keys and 128 values, since MAD's 8 and 8 were not learned", 0.2, .95,
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

    private static IEnumerable<Figure> Windows(string size, string suffix) =>
    [
        new($"accuracy of full attention less that of a dynamic window, {size}", "0", Bound.AtMost(.01),
            arms => arms.Accuracy(Full + suffix) - arms.Accuracy(Dynamic + suffix)),
        new($"mean span where an answer is asked for over that at blanks, {size}", "wider", Bound.AtLeast(3),
            arms => arms[Dynamic + suffix, TrainedArm.AskedSpanName] / arms[Dynamic + suffix, TrainedArm.BlankSpanName]),
    ];

    private static string DynamicWindow(int maximum) =>
        $"model.mixers.recall.window={{kind: dynamic, maximum: {maximum}, penalty: 1.0e-3}}";

    private static TrainedArm TwoHops(string name, string? window) => Hops(name, window,
        "model.layers=3", "model.pattern=[shift, recall, recall]", "data.task.chain_of_thought=false", "training.steps=4000",
        "training.evaluate_every=1000");

    private static TrainedArm Chain(string name, string? window) => Hops(name, window,
        "model.context_length=256", "data.task.length=256", "training.steps=400", "training.evaluate_every=200");

    private static TrainedArm Hops(string name, string? window, params string[] overrides) =>
        new(name, "multi-hop", [Untouched, .. overrides, .. window is null ? (string[])[] : [window]])
        {
            MeasuresSpans = window is not null,
        };
}
