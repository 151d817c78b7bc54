namespace Transformer.Reproductions;

/// <summary>Rows of a model of nanoGPT's size on the characters of tiny Shakespeare.</summary>
internal static class ShakespeareRows
{
    private const string Recipe = "shakespeare-char-nanogpt";
    private const string Rotary = "model.position={kind: rope}", Rms = "model.norm={kind: rms}", SwiGlu = "model.mlp={kind: swiglu}";
    private const string Forgetting = "forgetting", Softmax = "softmax", FourTimes = "four-times";

    public static IReadOnlyList<Reproduction> All { get; } =
    [
        new()
        {
            Name = "nanogpt",
            Paper = "Karpathy's nanoGPT, its recipe for a CPU",
            Claim = "Four layers of width 128 reach a validation loss of 1.88 on tiny Shakespeare in 2,000 steps.",
            Minutes = 2,
            Arms = [Train("nanogpt", 2000)],
            Figures = [new("validation loss, nats per character", "1.88", Bound.Within(.03, of: 1.88), arms => arms.Loss("nanogpt"))],
        },
        new()
        {
            Name = "llama-components",
            Paper = "The parts of Touvron et al. 2023, arXiv:2302.13971; the figure is an unpublished one, of a prototype in PyTorch",
            Claim = "The same size, steps and batches with rotary positions, RMSNorm and SwiGLU reach 1.6927.",
            Minutes = 2,
            Arms = [Train("llama", 2000, Rotary, Rms, SwiGlu)],
            Figures = [new("validation loss, nats per character", "1.6927", Bound.Within(.03, of: 1.6927), arms => arms.Loss("llama"))],
        },
        new()
        {
            Name = "component-ordering",
            Paper = "Su et al. 2021, arXiv:2104.09864; Zhang and Sennrich 2019, arXiv:1910.07467; Shazeer 2020, arXiv:2002.05202",
            Claim = "Rotary positions are better than learned ones, RMSNorm is as good as LayerNorm, SwiGLU is better than GELU at equal " +
                "parameters.",
            Smaller = "nanoGPT's size, 600 steps with the whole schedule, one part exchanged after the other",
            Minutes = 2.6,
            Arms =
            [
                Train("learned", 600), Train("rotary", 600, Rotary), Train("rms", 600, Rotary, Rms),
                Train("swiglu", 600, Rotary, Rms, "model.mlp={kind: swiglu, hidden: 341}"),    // as many parameters as GELU's 512
            ],
            Figures =
            [
                new("loss with rotary positions less that with learned ones", "below 0", Bound.AtMost(0),
                    arms => arms.LossDifference("rotary", "learned")),
                new("loss with RMSNorm less that with LayerNorm", "0", Bound.Within(.02, of: 0),
                    arms => arms.LossDifference("rms", "rotary")),
                new("loss with SwiGLU less that with GELU", "below 0", Bound.AtMost(0), arms => arms.LossDifference("swiglu", "rms")),
            ],
        },
        new()
        {
            Name = "alibi-extrapolation",
            Paper = "Press et al. 2022, arXiv:2108.12409",
            Claim = "A model with ALiBi that is trained on short texts reads longer ones at least as well; with sinusoidal positions it " +
                "does not.",
            Smaller = "nanoGPT's size, 800 steps, trained on 64 characters and measured on 256",
            Minutes = 2,
            Arms = [OnLongerText("alibi"), OnLongerText("sinusoidal")],
            Figures =
            [
                new("ALiBi: loss on 256 characters less that on 64", "0 or less", Bound.AtMost(.02), arms => Extrapolation(arms, "alibi")),
                new("sinusoidal: loss on 256 characters less that on 64", "far above", Bound.AtLeast(.2),
                    arms => Extrapolation(arms, "sinusoidal")),
            ],
        },
        new()
        {
            Name = "grouped-query",
            Paper = "Shazeer 2019, arXiv:1911.02150; Ainslie et al. 2023, arXiv:2305.13245",
            Claim = "One key/value head for all query heads costs little.",
            Smaller = "nanoGPT's size with rotary positions, 600 steps",
            Minutes = 2,
            Arms =
            [
                Train("four-heads", 600, Rotary), Train("one-head", 600, Rotary, "model.attention={kind: softmax, heads: 4, kv_heads: 1}"),
            ],
            Figures =
            [
                new("loss with one key/value head less that with four", "slightly above 0", Bound.AtMost(.05),
                    arms => arms.LossDifference("one-head", "four-heads")),
            ],
        },
        new()
        {
            Name = "forgetting-attention",
            Paper = "Lin et al. 2025, arXiv:2503.02130",
            Claim = "Forgetting attention without positions is not worse than softmax attention with rotary ones.",
            Smaller = "nanoGPT's size with RMSNorm and SwiGLU, 600 steps",
            Minutes = 3,
            Arms =
            [
                Train(Softmax, 600, Rotary, Rms, SwiGlu),
                Train(Forgetting, 600, "model.position={kind: none}", "model.attention={kind: forgetting, heads: 4}", Rms, SwiGlu),
            ],
            Figures =
            [
                new("loss of forgetting attention less that of softmax attention", "below 0", Bound.AtMost(.02),
                    arms => arms.LossDifference(Forgetting, Softmax)),
            ],
        },
    ];

    /// <summary>nanoGPT's recipe for so many steps, with its whole schedule.</summary>
    public static TrainedArm Train(string name, int steps, params IReadOnlyList<string> overrides) =>
        new(name, Recipe, [$"training.steps={steps}", $"training.evaluate_every={steps}", .. overrides]);

    private static TrainedArm OnLongerText(string position) =>
        Train(position, 800, $"model.position={{kind: {position}}}") with
        {
            MeasuredAlso = new Dictionary<string, IReadOnlyList<string>> { [FourTimes] = ["model.context_length=256"] },
        };

    private static double Extrapolation(ArmResults arms, string arm) =>
        arms[arm, $"{FourTimes}.{TrainedArm.LossName}"] - arms.Loss(arm);
}
