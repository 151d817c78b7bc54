namespace Transformer.Reproductions;

/// <summary>Rows of memory over segments: tasks whose answers lie in another segment, and a stream of text.</summary>
internal static class ContextRows
{
    private const string None = "none", Recurrent = "recurrent", TransformerXl = "transformer-xl", WithoutWriting = "without-writing",
        Associative = "associative", LongerName = "longer", Untouched = "training.stop_at_accuracy=null";
    private const int Seeds = 3;
    private const long Stream = 65_536;

    private const string Rmt = "Bulatov et al. 2022, arXiv:2207.06881";

    private const string Copies = "data.task={kind: copy, length: 24, symbols: 10, copies: 2}";

    // Reads rows of segments and remembers nothing of their words.
    private const string Nothing = "model.memory={kind: recurrent, tokens: 1, write: false}";

    // Keys and values stand side by side, and a convolution of two tokens joins them: the paper's six layers learn to.
    private static readonly string[] Pairs =
    [
        "data.task={kind: associative_retrieval, length: 4, keys: 8, values: 2}", "model.context_length=8", "training.batch_size=64",
        "model.attention=null", "model.pattern=[near, far]",
    ];

    private static readonly string[] PairPerSegment =
    [
        "data.task={kind: associative_retrieval, length: 8, keys: 16, values: 8}", "model.context_length=2", "training.batch_size=64",
        "model.initialization={kind: xavier, deviation: 0.3}", "model.tied_head=false", "training.optimizer.learning_rate=1.0e-3",
    ];

    private static readonly Dictionary<string, IReadOnlyList<string>> Longer = new() { [LongerName] = ["data.task.length=14"] };

    public static IReadOnlyList<Reproduction> All { get; } =
    [
        new()
        {
            Name = "segment-retrieval",
            Paper = Rmt,
            Claim = "A key that is asked for in the segment after its pair is answered with memory, and guessed without.",
            Smaller = "four pairs of eight keys in the segment before the question; a convolution of two tokens and one layer of " +
                "attention instead of six layers; three seeds",
            Minutes = 5,
            Arms =
            [
                .. Arms(None, [.. Pairs, Far("softmax, heads: 4"), Nothing, "training.steps=300", Untouched]),
                .. Arms(TransformerXl, [.. Pairs, Far("transformer_xl, heads: 4, memory_length: 8"), "model.memory=null",
                    "model.position={kind: none}", "training.steps=1000"]),
                .. Arms(Recurrent, [.. Pairs, Far("softmax, heads: 4"), "model.memory.tokens=8", "training.steps=4000"]),
            ],
            Figures =
            [
                Mean("accuracy without memory", "0.50", Bound.Within(.02, of: .5), None),
                Mean("accuracy of Transformer-XL", "1.0", Bound.AtLeast(.99), TransformerXl),
                Mean("accuracy of recurrent memory", "0.998", Bound.AtLeast(.99), Recurrent),
            ],
        },
        new()
        {
            Name = "segment-reverse",
            Paper = Rmt,
            Claim = "What a segment's memory tokens write lets the next one reverse it; memory that cannot write does not.",
            Smaller = "two layers of width 64 instead of four of 128; three seeds",
            Minutes = 4,
            Arms =
            [
                .. Arms(Recurrent, []),
                .. Arms(WithoutWriting, ["model.memory.write=false", "training.steps=600", Untouched]),
                .. Arms(None, [Nothing, "training.steps=600", Untouched]),
            ],
            Figures =
            [
                Mean("accuracy without memory", "0.102", Bound.AtMost(.13), None),
                Mean("accuracy of recurrent memory", "1.0", Bound.AtLeast(.99), Recurrent),
                Mean("accuracy of memory without write tokens", "0.10 to 0.12", Bound.AtMost(.25), WithoutWriting),
            ],
        },
        new()
        {
            Name = "segment-copy",
            Paper = Rmt,
            Claim = "Memory tokens carry 24 symbols over two segments of copies.",
            Smaller = "two layers of width 64 instead of four of 128; three seeds",
            Minutes = 5,
            Arms =
            [
                .. Arms(None, [Copies, Nothing, "training.steps=600", Untouched]),
                .. Arms(TransformerXl, [Copies, "model.memory=null", "model.attention={kind: transformer_xl, heads: 4, memory_length: 24}",
                    "model.position={kind: none}", "training.steps=1200"]),
                .. Arms(Recurrent, [Copies, "training.steps=1200"]),
            ],
            Figures =
            [
                Mean("accuracy without memory", "0.12", Bound.AtMost(.15), None),
                Mean("accuracy of Transformer-XL that remembers 24 tokens", "1.0", Bound.AtLeast(.99), TransformerXl),
                Mean("accuracy of recurrent memory", "1.0", Bound.AtLeast(.99), Recurrent),
            ],
        },
        new()
        {
            Name = "segment-pairs",
            Paper = "Rodkin et al. 2024, arXiv:2407.04841, associative retrieval (remember)",
            Claim = "Pairs that are told one a segment are all remembered by an associative memory, also more of them than in training; " +
                "as many memory tokens alone lose them.",
            Smaller = "8 pairs of 16 keys and 8 values, two memory tokens; one layer of width 64 with associative memory, two with " +
                "recurrent memory; an untied head and embeddings of deviation 0.3; three seeds",
            Minutes = 6,
            Arms =
            [
                .. Arms(Associative, [.. PairPerSegment, "model.layers=1", "model.memory={kind: associative, tokens: 2, key_width: 16}"])
                    .Select(arm => arm with { MeasuredAlso = Longer }),
                .. Arms(Recurrent, [.. PairPerSegment, "model.memory={kind: recurrent, tokens: 2}"]),
            ],
            Figures =
            [
                Best("accuracy of associative memory", Bound.AtLeast(.99), TrainedArm.AccuracyName),
                Best("accuracy of associative memory on 14 pairs", Bound.AtLeast(.95), $"{LongerName}.{TrainedArm.AccuracyName}"),
                Mean("accuracy of recurrent memory", "falls with the number of pairs", Bound.AtMost(.7), Recurrent),
            ],
        },
        new()
        {
            Name = "memory-stream",
            Paper = "Dai et al. 2019, arXiv:1901.02860; Bulatov et al. 2022, arXiv:2207.06881",
            Claim = "A stream of text is predicted better where a segment begins if the model remembers what came before, and not if " +
                "what it remembers is set to zero.",
            Smaller = "characters of tiny Shakespeare, 65,536 of its validation part; four layers of width 128, segments of 64, the " +
                "first 32 characters of each; one seed, the intervals are over segments",
            Minutes = 12,
            Arms =
            [
                Streams(None, "model.attention={kind: softmax, heads: 4}", "model.position={kind: rope}"),
                Streams(TransformerXl),
                Streams(Recurrent, "model.attention={kind: softmax, heads: 4}", "model.position={kind: rope}",
                    "model.memory={kind: recurrent, tokens: 8}", "training.backpropagation_segments=2", "training.batch_size=12"),
            ],
            Figures =
            [
                .. Gains(TransformerXl, "Transformer-XL"),
                .. Gains(Recurrent, "recurrent memory"),
            ],
        },
    ];

    private static string Far(string mixer) => $"model.mixers={{near: {{kind: convolution, tokens: 2}}, far: {{kind: {mixer}}}}}";

    private static IEnumerable<TrainedArm> Arms(string name, IReadOnlyList<string> overrides) => Enumerable.Range(0, Seeds)
        .Select(seed => new TrainedArm($"{name}-{seed}", "recurrent-memory", overrides) { SeedOffset = seed });

    private static TrainedArm Streams(string name, params string[] overrides) =>
        new(name, "shakespeare-char-xl", ["training.steps=1000", "training.evaluate_every=500", .. overrides]) { StreamTokens = Stream };

    // The intervals of two models on the same segments are added as if they had nothing in common, which makes them wider.
    private static IEnumerable<Figure> Gains(string name, string shown) =>
    [
        new($"gain in nats of {shown}, less its 95 % interval", "better", Bound.AtLeast(.02), arms => Gain(arms, name) - Math.Sqrt(
            Math.Pow(arms[None, TrainedArm.IntervalName], 2) + Math.Pow(arms[name, TrainedArm.IntervalName], 2))),
        new($"gain in nats of {shown} with its memory set to zero", "none", Bound.AtMost(0),
            arms => arms[None, TrainedArm.BeginningsName] - arms[name, TrainedArm.ZeroedName]),
    ];

    private static double Gain(ArmResults arms, string name) =>
        arms[None, TrainedArm.BeginningsName] - arms[name, TrainedArm.BeginningsName];

    private static Figure Best(string what, Bound bound, string measure) => new(
        $"{what}, best of {Seeds} seeds", "1.0", bound,
        arms => Enumerable.Range(0, Seeds).Max(seed => arms[$"{Associative}-{seed}", measure]));

    private static Figure Mean(string what, string published, Bound bound, string name) => new(
        $"{what}, mean of {Seeds} seeds", published, bound,
        arms => Enumerable.Range(0, Seeds).Average(seed => arms.Accuracy($"{name}-{seed}")));
}
