namespace Transformer.Reproductions;

/// <summary>Rows of generated tasks.</summary>
internal static class RecallRows
{
    private const string Attention = "attention", Additive = "additive", OneLayer = "one-layer", TwoLayers = "two-layers";
    private const string Reversed = "reversed", Plain = "plain";

    // The share of queries whose pair lies within W keys, of 4 pairs in rows of 64 tokens.
    private static readonly (int Window, double Law)[] Windows = [(8, .331), (16, .580), (32, .807)];

    private static readonly string[] Longer =
    [
        "data.task.length=128", "model.context_length=128", "data.task.pairs=8", "data.task.vocabulary=1024", "training.batch_size=128",
        "training.steps=600",
    ];

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
            Name = "mqar-linear",
            Paper = "Arora et al. 2023, arXiv:2312.04927",
            Claim = "Additive linear attention of width 64 does not recall from 128 tokens what attention of the same width does.",
            Smaller = "a vocabulary of 1,024, and as many steps as attention needs, 600 at most, for both",
            Minutes = 3,
            Arms =
            [
                new TrainedArm(Attention, "mqar", [.. Longer, "training.evaluate_every=50"]),
                new TrainedArm(Additive, "mqar", [.. Longer, "model.attention={kind: linear, rule: elu, heads: 1}"]),
            ],
            Figures =
            [
                new("accuracy of softmax attention", "0.99 or more", Bound.AtLeast(.99), arms => arms.Accuracy(Attention)),
                new("accuracy of additive linear attention", "0.4 or less", Bound.AtMost(.4), arms => arms.Accuracy(Additive)),
            ],
        },
        new()
        {
            Name = "sliding-window-law",
            Paper = "Arora et al. 2023, arXiv:2312.04927, from how the rows are drawn",
            Claim = "Behind a convolution of two tokens, one layer of sliding-window attention answers exactly the queries whose pair lies " +
                "within its window.",
            Smaller = "4 pairs, three windows, a vocabulary of 1,024",
            Minutes = 2,
            Arms = [.. Windows.Select(window => new TrainedArm(
                $"window-{window.Window}", "mqar", "data.task.pairs=4", "data.task.vocabulary=1024", "model.attention=null",
                "model.mixers={near: {kind: convolution, tokens: 2}, far: {kind: softmax, heads: 1, " +
                    $"window: {{kind: sliding, size: {window.Window}}}}}}}",
                "model.pattern=[near, far]", "model.position={kind: none}", "training.steps=300", "training.batch_size=128",
                "training.evaluate_every=300"))],
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
}
