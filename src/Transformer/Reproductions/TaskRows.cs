namespace Transformer.Reproductions;

/// <summary>Rows of generated tasks: recall, induction, memory and reasoning.</summary>
internal static class TaskRows
{
    private const string Attention = "attention", OneLayer = "one-layer", TwoLayers = "two-layers", Model = "model", Early = "early",
        Solved = "solved", Full = "full", Dynamic = "dynamic", Untouched = "training.stop_at_accuracy=null";

    // The share of queries whose pair lies within W keys, of 4 pairs in rows of 64 tokens.
    private static readonly (int Window, double Law)[] SlidingWindows = [(8, .331), (16, .580), (32, .807)];

    public static IReadOnlyList<Reproduction> All { get; } =
    [
        new()
        {
            Name = "mqar",
            Paper = "Arora et al. 2023, arXiv:2312.04927",
            Claim = "Two layers of attention without MLPs answer multi-query associative recall.",
            Smaller = "rows of 64 tokens with 4 pairs only; the run ends when it is solved, or after 4 of the 64 epochs",
            Minutes = 1,
            Arms = [new TrainedArm(Attention, "mqar", "training.steps=1500")],
            Figures = [new("accuracy", "0.99 or more", Bound.AtLeast(.99), arms => arms.Accuracy(Attention))],
        },
        new()
        {
            Name = "sliding-window-law",
            Paper = "How the rows of Arora et al. 2023, arXiv:2312.04927, are drawn",
            Claim = "Behind a convolution of two tokens, one layer of sliding-window attention answers exactly the queries whose pair " +
                "lies within its window.",
            Smaller = "4 pairs, three windows, 600 steps of half the batch",
            Minutes = 2,
            Arms = [.. SlidingWindows.Select(window => new TrainedArm(
                $"window-{window.Window}", "mqar",
                [
                    .. BehindConvolution($"kind: softmax, heads: 1, window: {{kind: sliding, size: {window.Window}}}"),
                    "training.steps=600", "training.evaluate_every=600", "training.batch_size=128",
                ]))],
            Figures = [.. SlidingWindows.Select(window => new Figure(
                $"accuracy, window of {window.Window} keys", $"{window.Law}", Bound.Within(.03, of: window.Law),
                arms => arms.Accuracy($"window-{window.Window}")))],
        },
        new()
        {
            Name = "induction",
            Paper = "Olsson et al. 2022, arXiv:2209.11895",
            Claim = "Two layers of attention form induction heads; one layer cannot.",
            Smaller = "the task of induction heads, 32 tokens of 15 symbols, in place of text",
            Minutes = 0.3,
            Arms =
            [
                new TrainedArm(OneLayer, "induction", "model.layers=1", "training.steps=600"),
                new TrainedArm(TwoLayers, "induction", "training.steps=600"),
            ],
            Figures =
            [
                new("accuracy of one layer", "fails", Bound.AtMost(.3), arms => arms.Accuracy(OneLayer)),
                new("accuracy of two layers", "succeeds", Bound.AtLeast(.99), arms => arms.Accuracy(TwoLayers)),
            ],
        },
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
                .. DynamicWindows("last hop alone, 64 tokens", ""),
                .. DynamicWindows("each hop in turn, 256 tokens", "-chain"),
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

    private static IEnumerable<Figure> DynamicWindows(string size, string suffix) =>
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

    private static string[] BehindConvolution(string mixer) =>
    [
        "model.attention=null", $"model.mixers={{near: {{kind: convolution, tokens: 2}}, far: {{{mixer}}}}}", "model.pattern=[near, far]",
        "model.position={kind: none}",
    ];
}
