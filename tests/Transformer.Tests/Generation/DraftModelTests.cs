using Transformer.Configuration;
using Transformer.Distributed;
using Transformer.Generation;
using Transformer.Inference;
using Transformer.Inference.Cpu;
using Transformer.Inference.Torch;
using Transformer.Model;
using static TorchSharp.torch;

namespace Transformer.Tests.Generation;

// V vocabulary

/// <summary>Speculative decoding with a draft model, put to chi-squared tests of whole texts.</summary>
public sealed class DraftModelTests
{
    private const int Samples = 100_000, Tokens = 3, Vocabulary = 5;
    private static readonly int[] Prompt = [1, 4];

    public static TheoryData<string> Kinds => [.. Tiny.Models.Keys];

    [Theory]
    [InlineData(1.0, null, null)]
    [InlineData(0.7, 4, 0.9)]
    public void A_hundred_thousand_texts_come_as_often_each_as_the_model_alone_writes_them(double temperature, int? topK, double? topP)
    {
        var options = new SamplingOptions { Temperature = temperature, TopK = topK, TopP = topP, MaxTokens = Tokens };
        using var pair = new Pair();
        var deviation = pair.Deviation(options, proposer => proposer);
        Assert.True(Math.Abs(deviation) < 4, $"chi-squared is {deviation:f1} standard deviations from what it should be");
    }

    // Given half of q, the rule accepts with min(1, 2 p / q); given q of the draft token alone, it draws what takes the place of a refused
    // draft token from p without it.
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void The_test_finds_a_rule_that_accepts_too_easily_and_one_that_replaces_by_the_wrong_tokens(bool tooEasily)
    {
        using var pair = new Pair();
        Assert.True(pair.Deviation(new SamplingOptions { MaxTokens = Tokens }, proposer => new Misinformed(proposer, tooEasily)) > 20);
    }

    [Fact]
    public void Draft_tokens_are_accepted_as_often_as_the_two_models_agree()
    {
        using var pair = new Pair();
        var options = new SamplingOptions { MaxTokens = 2 };
        var (p, q) = (Pair.Probabilities(pair.Target, Prompt, options), Pair.Probabilities(pair.Smaller, Prompt, options));
        var expected = p.Zip(q, Math.Min).Sum();
        using var logits = pair.Logits(options, draftTokens: 1);
        foreach (var _ in Pair.Texts(logits, options, count: 20_000)) ;
        var found = logits.Speculation;
        Assert.InRange(expected, 0.2, 0.9);
        Assert.Equal(20_000, found.Drafted);
        Near.Equal(expected, found.AcceptanceRate, 5 * Math.Sqrt(expected * (1 - expected) / 20_000), "acceptance rate");
    }

    [Fact]
    public void A_draft_that_is_the_model_itself_is_always_accepted()
    {
        using var model = Model("rope");
        using var engine = CpuInferenceModel.TryCreate(model)!;
        using var draft = CpuInferenceModel.TryCreate(model)!;
        var options = new SamplingOptions { MaxTokens = 10, TopP = 0.9 };
        var found = new TextGenerator(engine)
        {
            DraftTokens = 3,
            Draft = draft
        }.Generate([[1, 2]], options, cancellation: TestContext.Current.CancellationToken)[0].Speculation!;
        Assert.Equal(new SpeculationCount(3, 7, 7), found);    // 4 + 4 + 2 tokens
        Assert.Equal(1, found.AcceptanceRate);
    }

    // Drafts whose state can drop tokens and such whose cannot, with a shorter context and past the model's.
    [Theory]
    [MemberData(nameof(Kinds))]
    public void A_draft_of_any_kind_changes_no_greedy_token(string kind)
    {
        using var model = Model("rope");
        using var smaller = Model(kind, context: 8);
        using var engine = CpuInferenceModel.TryCreate(model)!;
        using var draft = CpuInferenceModel.TryCreate(smaller)!;
        var options = SamplingOptions.Greedy with { MaxTokens = 30 };
        foreach (var draftTokens in new[] { 1, 4 })
            Assert.Equal(
                Write(new(engine), options).Tokens, Write(new(engine) { DraftTokens = draftTokens, Draft = draft }, options).Tokens);

        static GeneratedText Write(TextGenerator generator, SamplingOptions options) =>
            generator.Generate([[1, 2]], options, cancellation: TestContext.Current.CancellationToken)[0];
    }

    [Fact]
    public void A_draft_that_cannot_be_used_is_refused()
    {
        using var model = Model("rope");
        using var following = Model("rope_dynamic_ntk");
        using var other = new TransformerModel(Tiny.Config with { VocabularySize = 12 });
        using var engine = CpuInferenceModel.TryCreate(model)!;
        using var angular = CpuInferenceModel.TryCreate(following)!;
        using var strange = CpuInferenceModel.TryCreate(other)!;
        Assert.Contains("angles follow the length", Refusal(new(angular) { DraftTokens = 1, Draft = engine }, [[1]]));
        Assert.Contains("one text alone, found 2", Refusal(new(engine) { DraftTokens = 1, Draft = engine }, [[1], [2]]));
        Assert.Contains("vocabulary of 12", Refusal(new(engine) { DraftTokens = 1, Draft = strange }, [[1]]));

        static string Refusal(TextGenerator generator, int[][] prompts) =>
            Assert.Throws<InputException>(
                () => generator.Generate(prompts, SamplingOptions.Greedy, cancellation: TestContext.Current.CancellationToken)).Message;
    }

    private static TransformerModel Model(string kind, int? context = null)
    {
        manual_seed(31);
        var model = Tiny.Stir(new TransformerModel(Tiny.Models[kind] with { ContextLength = context ?? Tiny.Config.ContextLength }));
        Layers.Attention.WindowCases.Spread(model);
        return model;
    }

    private sealed class Misinformed(Proposer proposer, bool tooEasily) : Proposer
    {
        private int[] drafted = [];

        public override int Propose(ReadOnlySpan<int> text, Span<int> draftTokens)
        {
            var count = proposer.Propose(text, draftTokens);
            drafted = draftTokens[..count].ToArray();
            return count;
        }

        public override ReadOnlySpan<float> ProbabilitiesOf(int draft) =>
            proposer.ProbabilitiesOf(draft).ToArray().Select((q, token) => tooEasily ? q / 2 : token == drafted[draft] ? q : 0).ToArray();

        public override void Dispose() => proposer.Dispose();
    }

    /// <summary>A model of five tokens and a smaller one that expects others.</summary>
    private sealed class Pair : IDisposable
    {
        private readonly TransformerModel target, smaller;

        public Pair()
        {
            manual_seed(32);
            var config = Tiny.Config with { VocabularySize = Vocabulary, ContextLength = 8 };
            (target, smaller) = (new(config), new(config with { Layers = 1, Width = 8 }));
            (Target, Smaller) = (CpuInferenceModel.TryCreate(target, threads: 1)!, CpuInferenceModel.TryCreate(smaller, threads: 1)!);
        }

        public InferenceModel Target { get; }

        public InferenceModel Smaller { get; }

        public SpeculativeLogits Logits(SamplingOptions options, int draftTokens, Func<Proposer, Proposer>? given = null) =>
            new(Target, capacity: 8, (given ?? (same => same))(new DraftModel(Smaller, options, Vocabulary, draftTokens)), draftTokens);

        /// <summary>Continues the prompt again and again, with a seed of its own each time.</summary>
        public static IEnumerable<int[]> Texts(SpeculativeLogits logits, SamplingOptions options, int count)
        {
            for (var seed = 0; seed < count; seed++)
            {
                var row = new GenerationRow(
                    options with { Seed = seed }, 0, Prompt, new(Prompt, capacity: 8, ContextPolicy.Slide, tokenizer: null), Vocabulary,
                    tokenizer: null);
                while (row.Finished is null)
                {
                    logits.Read([row], CancellationToken.None);
                    row.Advance(logits.Of(0), logits.DraftTokenOf(0));
                }
                yield return [.. row.Result.Tokens];
            }
        }

        /// <summary>By how many of its standard deviations chi-squared differs from its mean, over all texts.</summary>
        public double Deviation(SamplingOptions options, Func<Proposer, Proposer> given)
        {
            var found = new int[Vocabulary * Vocabulary * Vocabulary];
            using var logits = Logits(options, draftTokens: 2, given);
            foreach (var text in Texts(logits, options, Samples))
                found[text.Aggregate(0, (number, token) => number * Vocabulary + token)]++;
            var expected = Texts(options).Select(share => share * Samples).ToArray();

            // Rare texts count together with others, five of them at least; those that are impossible must not come.
            var (chiSquared, cells, rare) = (0.0, 0, (Expected: 0.0, Found: 0));
            foreach (var text in Enumerable.Range(0, found.Length).OrderBy(text => expected[text]))
            {
                if (expected[text] == 0 && found[text] > 0) return double.PositiveInfinity;
                rare = (rare.Expected + expected[text], rare.Found + found[text]);
                if (rare.Expected < 5) continue;
                chiSquared += (rare.Found - rare.Expected) * (rare.Found - rare.Expected) / rare.Expected;
                (cells, rare) = (cells + 1, default);
            }
            Assert.InRange(cells, 15, found.Length);
            return (chiSquared - (cells - 1)) / Math.Sqrt(2.0 * (cells - 1));
        }

        /// <summary>
        /// The softmax of the logits over the temperature, of the most probable K and of these the fewest with probability P: [V].
        /// </summary>
        public static double[] Probabilities(InferenceModel engine, int[] text, SamplingOptions options)
        {
            using var state = engine.NewState(rows: 1);
            engine.Read(state, [0], [text.Length], text);
            var p = Normalised(engine.Logits(0).ToArray().Select(logit => Math.Exp(logit / options.Temperature)));
            var order = Enumerable.Range(0, p.Length).OrderByDescending(token => p[token]).ToArray();
            if (options.TopK is { } k) p = Normalised(p.Select((share, token) => order.Take(k).Contains(token) ? share : 0));
            if (options.TopP is not { } topP) return p;
            var (kept, sum) = (0, 0.0);
            while (sum < topP) sum += p[order[kept++]];
            return Normalised(p.Select((share, token) => order.Take(kept).Contains(token) ? share : 0));
        }

        // Of each text of three tokens, in the order of their numbers.
        private IEnumerable<double> Texts(SamplingOptions options) =>
            from first in Probabilities(Target, Prompt, options).Index()
            from second in Probabilities(Target, [.. Prompt, first.Index], options).Index()
            from third in Probabilities(Target, [.. Prompt, first.Index, second.Index], options).Index()
            select first.Item * second.Item * third.Item;

        private static double[] Normalised(IEnumerable<double> weights)
        {
            var all = weights.ToArray();
            return [.. all.Select(weight => weight / all.Sum())];
        }

        public void Dispose()
        {
            Target.Dispose();
            Smaller.Dispose();
            target.Dispose();
            smaller.Dispose();
        }
    }
}
