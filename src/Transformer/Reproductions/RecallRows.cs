namespace Transformer.Reproductions;

/// <summary>Rows of generated tasks.</summary>
internal static class RecallRows
{
    private const string Attention = "attention", OneLayer = "one-layer", TwoLayers = "two-layers";

    // The share of queries whose pair lies within W keys, of 4 pairs in rows of 64 tokens.
    private static readonly (int Window, double Law)[] Windows = [(8, .331), (16, .580), (32, .807)];

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
            Arms = [.. Windows.Select(window => new TrainedArm(
                $"window-{window.Window}", "mqar",
                [
                    .. BehindConvolution($"kind: softmax, heads: 1, window: {{kind: sliding, size: {window.Window}}}"),
                    "training.steps=600", "training.evaluate_every=600", "training.batch_size=128",
                ]))],
            Figures = [.. Windows.Select(window => new Figure(
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
    ];

    private static string[] BehindConvolution(string mixer) =>
    [
        "model.attention=null", $"model.mixers={{near: {{kind: convolution, tokens: 2}}, far: {{{mixer}}}}}", "model.pattern=[near, far]",
        "model.position={kind: none}",
    ];
}
