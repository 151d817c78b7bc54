using System.Globalization;

namespace Transformer.Reproductions;

/// <summary>Rows about optimizers, rates, precision and depth, on the characters of tiny Shakespeare.</summary>
internal static class OptimizationRows
{
    private const string Mup = "mup", Standard = "standard";

    // Learning rates of 2^-k.
    private static readonly int[] Widths = [32, 64, 128, 256], Rates = [9, 8, 7, 6, 5, 4];

    private static readonly string[] Llama =
        ["model.position={kind: rope}", "model.norm={kind: rms}", "model.mlp={kind: swiglu}"];

    public static IReadOnlyList<Reproduction> All { get; } =
    [
        new()
        {
            Name = "muon",
            Paper = "Jordan et al. 2024, kellerjordan.github.io/posts/muon",
            Claim = "Muon reaches AdamW's loss in three quarters of its steps.",
            Smaller = "nanoGPT's size with rotary positions, RMSNorm and SwiGLU; 600 steps against 800, each with its whole schedule; " +
                "rates are those of our recipes, swept for neither",
            Minutes = 2,
            Arms =
            [
                ShakespeareRows.Train("adamw", 800, [.. Llama, "training.optimizer.learning_rate=3.0e-3"]),
                ShakespeareRows.Train("muon", 600,
                [
                    .. Llama, "training.optimizer={kind: muon, learning_rate: 0.02, weight_decay: 0.1, " +
                        "adamw: {learning_rate: 1.0e-2, weight_decay: 0.1}}",
                ]),
            ],
            Figures =
            [
                new("loss of Muon less that of AdamW", "0 at 1/1.35 of the steps", Bound.AtMost(0),
                    arms => arms.LossDifference("muon", "adamw")),
            ],
        },
        new()
        {
            Name = "mup-transfer",
            Paper = "Yang et al. 2022, arXiv:2203.03466",
            Claim = "Under muP the best learning rate of a narrow model is that of a wide one; in the standard parameterization it falls " +
                "with the width.",
            Smaller = "two layers of width 32 to 256, contexts of 32, 200 steps, rates of a factor of two; the mean of three seeds up to " +
                "width 64",
            Minutes = 6,
            Arms = [.. Grid(Mup, Widths), .. Grid(Standard, [Widths[0], Widths[^1]])],
            Figures =
            [
                // an optimum at the grid's edge is not known to be one
                new("muP: factors of two between the lowest and the highest best rate of widths 32 to 256", "one at most", Bound.AtMost(1),
                    arms => Spread([.. Widths.Select(width => WithinGrid(Best(arms, Mup, width)))])),
                new("standard: factors of two by which the best rate falls at least from width 32 to 256", "it falls", Bound.AtLeast(2),
                    arms => Best(arms, Standard, Widths[0]) - Best(arms, Standard, Widths[^1])),
            ],
        },
        new()
        {
            Name = "mixed-precision",
            Paper = "Micikevicius et al. 2018, arXiv:1710.03740 (fp16); Kalamkar et al. 2019, arXiv:1905.12322 (bf16)",
            Claim = "Training with products in bf16, or in fp16 with loss scaling, reaches the loss of training in fp32.",
            Smaller = "nanoGPT's recipe, 400 of its steps with the whole schedule",
            Minutes = 3,
            Arms = [.. new[] { "fp32", "bf16", "fp16" }.Select(type => ShakespeareRows.Train(type, 400, [$"training.precision={type}"]))],
            Figures =
            [
                new("loss in bf16 less that in fp32", "0", Bound.Within(.02, of: 0), arms => arms.LossDifference("bf16", "fp32")),
                new("loss in fp16 less that in fp32", "0", Bound.Within(.02, of: 0), arms => arms.LossDifference("fp16", "fp32")),
            ],
        },
        new()
        {
            Name = "warm-up",
            Paper = "Xiong et al. 2020, arXiv:2002.04745",
            Claim = "Pre-norm trains as well without warm-up as with it, post-norm does not.",
            Smaller = "8 layers of width 64, Xavier initialization, 300 steps at a constant rate of 1e-3, after 100 of warm-up or none",
            Minutes = 1.2,
            Arms = [.. from residual in (string[])["pre_norm", "post_norm"] from steps in (int[])[0, 100] select WarmUp(residual, steps)],
            Figures =
            [
                new("pre-norm: loss without warm-up less that with it", "0", Bound.AtMost(.05),
                    arms => arms.LossDifference("pre_norm-0", "pre_norm-100")),
                new("post-norm: loss without warm-up less that with it", "far above 0", Bound.AtLeast(.1),
                    arms => arms.LossDifference("post_norm-0", "post_norm-100")),
                new("loss without warm-up, post-norm less pre-norm", "far above 0", Bound.AtLeast(.2),
                    arms => arms.LossDifference("post_norm-0", "pre_norm-0")),
            ],
        },
    ];

    private static TrainedArm WarmUp(string residual, int steps) => ShakespeareRows.Train($"{residual}-{steps}", 300,
    [
        "model.layers=8", "model.width=64", "model.initialization={kind: xavier}", $"model.residual={{kind: {residual}}}",
        $"training.schedule={{kind: constant, warmup_steps: {steps}}}", "training.optimizer.learning_rate=1.0e-3",
    ]);

    // Heads of 16; muP's base width is the narrowest. Narrow models differ more between seeds, and cost less.
    private static IEnumerable<TrainedArm> Grid(string kind, int[] widths) =>
        from width in widths
        from rate in Rates
        from offset in Enumerable.Range(0, Seeds(width))
        select ShakespeareRows.Train(NameOf(kind, width, rate, offset), 200,
        [
            "model.layers=2", $"model.width={width}", $"model.attention={{kind: softmax, heads: {width / 16}}}", "model.context_length=32",
            "model.position={kind: rope}", "model.norm={kind: rms}",
            $"model.initialization={(kind == Mup ? $"{{kind: mup, base_width: {Widths[0]}}}" : "{kind: gpt2}")}",
            "training.batch_size=16", "training.optimizer.weight_decay=0", "training.schedule.warmup_steps=60",
            $"training.optimizer.learning_rate={Math.Pow(2, -rate).ToString(CultureInfo.InvariantCulture)}",
        ]) with
        {
            SeedOffset = offset,
        };

    private static int Seeds(int width) => width <= 64 ? 3 : 1;

    private static string NameOf(string kind, int width, int rate, int offset) => $"{kind}-{width}-{rate}-{offset + 1}";

    // The base-2 logarithm of the rate with the lowest mean loss.
    private static double Best(ArmResults arms, string kind, int width) => -Rates.MinBy(
        rate => Enumerable.Range(0, Seeds(width)).Average(offset => arms.Loss(NameOf(kind, width, rate, offset))));

    private static double WithinGrid(double best) => best == -Rates.Max() || best == -Rates.Min() ? double.NaN : best;

    private static double Spread(IReadOnlyList<double> best) => best.Max() - best.Min();
}
