using Transformer.Layers.Attention;
using static TorchSharp.torch;

namespace Transformer.Tests.Layers.Attention;

// B batch · T tokens · H heads · F feature width · E value width

public sealed class LinearRecurrenceTests
{
    private const double Tolerance = 2e-5;

    /// <summary>
    /// Every combination of decay and replacement: those of the rules of linear attention, and the two that no rule has yet.
    /// </summary>
    private static readonly string[] Rules =
    [
        "sum", "decay", "vector decay", "delta", "decay and delta", "vector decay and delta",
        "delta to minus one", "decay and delta to minus one",
    ];

    public static TheoryData<string, int> RulesAndLengths =>
        new(from rule in Rules from tokens in (int[])[1, 2, 16, 37] select (rule, tokens));

    public static TheoryData<string> AllRules => [.. Rules];

    public static TheoryData<string> Goldens => ["retention", "simple_gla", "gla", "delta_rule", "gated_delta_rule"];

    public LinearRecurrenceTests() => manual_seed(1);

    [Theory]
    [MemberData(nameof(RulesAndLengths))]
    public void Chunks_of_any_length_and_all_tokens_at_once_equal_the_recurrence_in_values_and_gradients(string rule, int tokens)
    {
        using var scope = NewDisposeScope();
        foreach (var started in (bool[])[false, true])
        {
            var inputs = new Inputs(rule, tokens, started);
            var expected = inputs.Run(LinearRecurrence.Recurrent);
            Same(expected, inputs.Run(LinearRecurrence.Explicit), "all at once");
            foreach (var chunk in (int[])[1, 2, 8, 16, 64]) Same(expected, inputs.Run(Chunks(chunk)), $"chunks of {chunk}");
        }
    }

    [Theory]
    [MemberData(nameof(Goldens))]
    public void All_forms_give_the_reference_s_outputs_states_and_gradients(string file)
    {
        using var scope = NewDisposeScope();
        var golden = Golden.Read($"linear/{file}.safetensors");
        var tolerance = file.Contains("delta") ? 1e-5 : 5e-5;
        foreach (var form in (Form[])[LinearRecurrence.Recurrent, LinearRecurrence.Explicit, Chunks(1), Chunks(8), Chunks(32), Chunks(64)])
        {
            foreach (var started in (bool[])[false, true])
            {
                var suffix = started ? "_from_initial_state" : "";
                var inputs = new Inputs(golden, started);
                var (o, end, gradients) = inputs.Run(form);
                Near.Equal(golden[$"o{suffix}"], o, tolerance, "outputs");
                Near.Equal(golden[$"final_state{suffix}"], end, 2e-5, "state");
                foreach (var (name, gradient) in gradients)
                    Near.Equal(
                        golden[name == "initial_state" ? "grad_initial_state" : $"grad_{name}{suffix}"], gradient, tolerance,
                        $"gradient of {name}");
                Assert.Equal(
                    golden.Keys.Count(key => key.StartsWith("grad_") && key.EndsWith("_from_initial_state")) + (started ? 1 : 0),
                    gradients.Count);
            }
        }
    }

    [Fact]
    public void Normalised_features_of_elu_give_the_reference_s_outputs_and_gradients()
    {
        using var scope = NewDisposeScope();
        var golden = Golden.Read("linear/linear_attention.safetensors");
        var (q, k, v) = (Leaf(golden["q"]), Leaf(golden["k"]), Leaf(golden["v"]));
        var (phiQ, phiK) = (FeatureMap.Elu(q), FeatureMap.Elu(k));
        Near.Equal(golden["phi_q"], phiQ, 1e-6, "phi(q)");
        var (o, end) = LinearRecurrence.Chunkwise(phiQ, phiK, v, null, null, null, 16);
        var normalised = o / LinearAttention.Normaliser(phiQ, phiK);
        Near.Equal(golden["o_unnormalised_scale_8^-0.5"], o / Math.Sqrt(8), 5e-5, "outputs before the normaliser");
        Near.Equal(golden["o"], normalised, 1e-5, "outputs");
        Near.Equal(golden["final_state"], end, 2e-5, "state");
        Near.Equal(golden["final_key_sum"], phiK.sum(2), 2e-5, "key sum");
        (normalised * golden["do"]).sum().backward();
        foreach (var (name, leaf) in (IEnumerable<(string, Tensor)>)[("q", q), ("k", k), ("v", v)])
            Near.Equal(golden[$"grad_{name}"], leaf.grad!, 1e-5, $"gradient of {name}");
    }

    [Theory]
    [MemberData(nameof(AllRules))]
    public void A_text_in_two_parts_with_the_state_between_them_is_the_text_in_one(string rule)
    {
        using var scope = NewDisposeScope();
        var inputs = new Inputs(rule, tokens: 21, started: true);
        foreach (var form in (Form[])[LinearRecurrence.Recurrent, LinearRecurrence.Explicit, Chunks(8)])
        {
            var (o, end) = inputs.Apply(form);
            for (var split = 1; split < 21; split++)
            {
                var (first, between) = inputs.Part(0, split).Apply(form);
                var (second, last) = (inputs.Part(split, 21 - split) with { State = between }).Apply(form);
                Near.Equal(o, cat([first, second], 2), Tolerance, $"split at {split}");
                Near.Equal(end, last, Tolerance, $"state, split at {split}");
            }
        }
    }

    [Theory]
    [MemberData(nameof(AllRules))]
    public void Decays_that_leave_nothing_over_stay_exact_and_their_gradients_finite(string rule)
    {
        using var scope = NewDisposeScope();
        var inputs = new Inputs(rule, tokens: 64, started: true);
        if (inputs.LogDecay is not { } decay) return;
        foreach (var strength in (double[])[10, 300, 1e5])
        {
            // Every third token decays the state almost entirely, the others hardly: sums of logarithms exceed the range of exp in both
            // directions.
            var strong = inputs with
            {
                LogDecay = Leaf(decay * where(arange(64).view(-1, 1) % 3 == 0, tensor(strength), tensor(0.01)).to(float32))
            };
            var expected = strong.Run(LinearRecurrence.Recurrent);
            foreach (var chunk in (int[])[16, 64]) Same(expected, strong.Run(Chunks(chunk)), $"strength {strength}, chunks of {chunk}");
        }
    }

    [Fact]
    public void Without_decay_the_gated_delta_rule_is_the_delta_rule()
    {
        using var scope = NewDisposeScope();
        var delta = new Inputs("delta", tokens: 37, started: true);
        var gated = delta with { LogDecay = zeros(2, 3, 37, 1) };
        foreach (var form in (Form[])[LinearRecurrence.Recurrent, Chunks(16)])
        {
            Near.Equal(delta.Apply(form).Output, gated.Apply(form).Output, 1e-6);
            Near.Equal(delta.Apply(form).State, gated.Apply(form).State, 1e-6);
        }
    }

    [Fact]
    public void With_orthonormal_keys_and_full_strength_the_delta_rule_is_the_sum()
    {
        using var scope = NewDisposeScope();
        var (q, k, v) = (randn(1, 1, 8, 8), eye(8)[randperm(8)].view(1, 1, 8, 8), randn(1, 1, 8, 8));
        foreach (var form in (Form[])[LinearRecurrence.Recurrent, LinearRecurrence.Explicit, Chunks(4)])
        {
            var (sum, delta) = (form(q, k, v, null, null, null), form(q, k, v, null, ones(1, 1, 8, 1), null));
            Near.Equal(sum.Output, delta.Output, 1e-6);
            Near.Equal(sum.State, delta.State, 1e-6);
        }
    }

    [Fact]
    public void A_key_written_twice_at_full_strength_holds_the_second_value_only()
    {
        using var scope = NewDisposeScope();
        var key = nn.functional.normalize(randn(1, 1, 1, 8), dim: -1);
        var (q, k, v) = (cat([key, key], 2), cat([key, key], 2), randn(1, 1, 2, 5));
        foreach (var form in (Form[])[LinearRecurrence.Recurrent, LinearRecurrence.Explicit, Chunks(2)])
        {
            Near.Equal(v, form(q, k, v, null, ones(1, 1, 2, 1), null).Output, 1e-6, "delta");
            Near.Equal(v.cumsum(2), form(q, k, v, null, null, null).Output, 1e-6, "sum");
        }
    }

    [Theory]
    [MemberData(nameof(AllRules))]
    public void No_output_has_a_gradient_from_later_tokens(string rule)
    {
        using var scope = NewDisposeScope();
        foreach (var form in (Form[])[LinearRecurrence.Recurrent, LinearRecurrence.Explicit, Chunks(4)])
        {
            var inputs = new Inputs(rule, tokens: 11, started: true);
            inputs.Apply(form).Output.narrow(2, 5, 1).sum().backward();
            foreach (var (name, leaf) in inputs.Leaves.Where(leaf => leaf.Name != "initial_state" && leaf.Leaf.grad is not null))
            {
                Assert.Equal(0, leaf.grad!.narrow(2, 6, 5).abs().max().item<float>());
                Assert.True(leaf.grad!.narrow(2, 5, 1).abs().max().item<float>() > 0 || name == "g", name);
            }
        }
    }

    [Fact]
    public void A_chunk_that_is_no_power_of_two_is_refused() =>
        Assert.Throws<ArgumentOutOfRangeException>(() => new Inputs("sum", tokens: 4, started: false).Apply(Chunks(6)));

    private delegate (Tensor Output, Tensor State) Form(Tensor q, Tensor k, Tensor v, Tensor? logDecay, Tensor? beta, Tensor? state);

    private static Form Chunks(int chunk) =>
        (q, k, v, logDecay, beta, state) => LinearRecurrence.Chunkwise(q, k, v, logDecay, beta, state, chunk);

    private static Tensor Leaf(Tensor x) => x.detach().clone().requires_grad_(true);

    private static void Same(Result expected, Result found, string what, double tolerance = Tolerance)
    {
        Near.Equal(expected.Output, found.Output, tolerance, $"{what}: outputs");
        Near.Equal(expected.State, found.State, tolerance, $"{what}: state");
        foreach (var (name, gradient) in expected.Gradients)
            Near.Equal(
                gradient, found.Gradients[name], tolerance * Math.Max(1, gradient.abs().max().item<float>()),
                $"{what}: gradient of {name}");
    }

    private sealed record Result(Tensor Output, Tensor State, Dictionary<string, Tensor> Gradients);

    // Names are those of the goldens.
    private sealed record Inputs(
        Tensor Q, Tensor K, Tensor V, Tensor? LogDecay, Tensor? Beta, Tensor? State, Tensor Direction, string DecayName = "g")
    {
        public Inputs(string rule, int tokens, bool started) : this(
            Leaf(randn(2, 3, tokens, 8) / Math.Sqrt(8)),
            Leaf(nn.functional.normalize(randn(2, 3, tokens, 8), dim: -1)),
            Leaf(randn(2, 3, tokens, 5)),
            rule.Contains("decay") ? Leaf(nn.functional.logsigmoid(randn(2, 3, tokens, rule.Contains("vector") ? 8 : 1) + 1)) : null,
            rule.Contains("delta") ? Leaf(rand(2, 3, tokens, 1) * (rule.Contains("minus one") ? 2 : 1)) : null,
            started ? Leaf(randn(2, 3, 8, 5)) : null,
            randn(2, 3, tokens, 5))
        {
        }

        // q carries the scale of the reference, whose gradients are those of q before it.
        public Inputs(Dictionary<string, Tensor> golden, bool started) : this(
            Leaf(golden["q"]), Leaf(golden["k"]), Leaf(golden["v"]),
            golden.TryGetValue("gk", out var vector) ? Leaf(vector)
                : golden.TryGetValue("g", out var scalar) ? Leaf(scalar)
                : golden.TryGetValue("log_decay_per_head", out var constant) ? constant.view(3, 1, 1).expand(2, 3, 37, 1) : null,
            golden.TryGetValue("beta", out var beta) ? Leaf(beta) : null,
            started ? Leaf(golden["initial_state"]) : null,
            golden["do"], golden.ContainsKey("gk") ? "gk" : "g")
        {
            Scale = 1 / Math.Sqrt(8);
        }

        private double Scale { get; } = 1;

        public IEnumerable<(string Name, Tensor Leaf)> Leaves =>
            ((IEnumerable<(string Name, Tensor? Leaf)>)[
                ("q", Q), ("k", K), ("v", V), (DecayName, LogDecay), ("beta", Beta), ("initial_state", State)])
                .Where(input => input.Leaf is { requires_grad: true }).Select(input => (input.Name, input.Leaf!));

        public (Tensor Output, Tensor State) Apply(Form form) => form(Q * Scale, K, V, Wide(LogDecay), Wide(Beta), State);

        public Result Run(Form form)
        {
            foreach (var (_, leaf) in Leaves) leaf.grad = zeros_like(leaf);
            var (o, end) = Apply(form);
            (o * Direction).sum().backward();
            return new(o, end, Leaves.ToDictionary(leaf => leaf.Name, leaf => leaf.Leaf.grad!.clone()));
        }

        public Inputs Part(int start, int count) => this with
        {
            Q = Q.narrow(2, start, count),
            K = K.narrow(2, start, count),
            V = V.narrow(2, start, count),
            LogDecay = LogDecay?.narrow(2, start, count),
            Beta = Beta?.narrow(2, start, count),
        };

        // The goldens have one number per token where the recurrence takes [B, H, T, 1].
        private static Tensor? Wide(Tensor? x) => x?.dim() == 3 ? x.unsqueeze(-1) : x;
    }
}
