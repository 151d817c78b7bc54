using Transformer.Configuration;
using Transformer.Generation;
using Transformer.Generation.Decoding;
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

    // Told half of q, the rule accepts with min(1, 2 p / q).
    [Fact]
    public void The_test_finds_a_rule_that_accepts_too_easily()
    {
        using var pair = new Pair();
        Assert.True(pair.Deviation(new SamplingOptions { MaxTokens = Tokens }, proposer => new Understated(proposer)) > 20);
    }

    [Fact]
    public void Guesses_are_accepted_as_often_as_the_two_models_agree()
    {
        using var pair = new Pair();
        var options = new SamplingOptions { MaxTokens = 2 };
        var (p, q) = (pair.Probabilities(pair.Target, Prompt, options), pair.Probabilities(pair.Smaller, Prompt, options));
        var expected = p.Zip(q, Math.Min).Sum();
        var accepted = Enumerable.Range(0, 20_000).Count(seed => pair.Write(options with { Seed = seed }, guesses: 1).Speculation!.Accepted == 1);
        Assert.InRange(expected, 0.2, 0.8);
        Near.Equal(expected, accepted / 20_000.0, 5 * Math.Sqrt(expected * (1 - expected) / 20_000), "acceptance rate");
    }

    [Fact]
    public void A_draft_that_is_the_model_itself_is_always_believed()
    {
        using var model = Model("rope");
        using var engine = DecodeEngine.TryCreate(model)!;
        using var draft = DecodeEngine.TryCreate(model)!;
        var options = new SamplingOptions { MaxTokens = 10, TopP = 0.9 };
        var found = new TextGenerator(engine) { Guesses = 3, Draft = draft }.Generate([[1, 2]], options, cancellation: TestContext.Current.CancellationToken)[0].Speculation!;
        Assert.Equal(new SpeculationCount(3, 7, 7), found);    // 4 + 4 + 2 tokens
        Assert.Equal(1, found.AcceptanceRate);
    }

    // Drafts that forget and such that cannot, with a shorter context and past the model's.
    [Theory]
    [MemberData(nameof(Kinds))]
    public void A_draft_of_any_kind_changes_no_greedy_token(string kind)
    {
        using var model = Model("rope");
        using var smaller = Model(kind, context: 8);
        using var engine = DecodeEngine.TryCreate(model)!;
        using var draft = DecodeEngine.TryCreate(smaller)!;
        var options = SamplingOptions.Greedy with { MaxTokens = 30 };
        foreach (var guesses in new[] { 1, 4 })
            Assert.Equal(Write(new(engine), options).Tokens, Write(new(engine) { Guesses = guesses, Draft = draft }, options).Tokens);

        static GeneratedText Write(TextGenerator generator, SamplingOptions options) =>
            generator.Generate([[1, 2]], options, cancellation: TestContext.Current.CancellationToken)[0];
    }

    [Fact]
    public void A_draft_that_cannot_guess_is_refused()
    {
        using var model = Model("rope");
        using var recurrent = Model("gated_delta");
        using var other = new TransformerModel(Tiny.Config with { VocabularySize = 12 });
        using var engine = DecodeEngine.TryCreate(model)!;
        using var forgetless = DecodeEngine.TryCreate(recurrent)!;
        using var strange = DecodeEngine.TryCreate(other)!;
        Assert.Contains("forget", Refusal(new(forgetless) { Guesses = 1, Draft = engine }, [[1]]));
        Assert.Contains("one text alone, found 2", Refusal(new(engine) { Guesses = 1, Draft = engine }, [[1], [2]]));
        Assert.Contains("vocabulary of 12", Refusal(new(engine) { Guesses = 1, Draft = strange }, [[1]]));

        static string Refusal(TextGenerator generator, int[][] prompts) =>
            Assert.Throws<InputException>(() => generator.Generate(prompts, SamplingOptions.Greedy, cancellation: TestContext.Current.CancellationToken)).Message;
    }

    private static TransformerModel Model(string kind, int? context = null)
    {
        manual_seed(31);
        var model = Tiny.Stir(new TransformerModel(Tiny.Models[kind] with { ContextLength = context ?? Tiny.Config.ContextLength }));
        Layers.Attention.WindowCases.Spread(model);
        return model;
    }

    private sealed class Understated(Proposer proposer) : Proposer
    {
        public override int Propose(ReadOnlySpan<int> text, Span<int> guesses) => proposer.Propose(text, guesses);

        public override ReadOnlySpan<float> ProbabilitiesOf(int guess) => proposer.ProbabilitiesOf(guess).ToArray().Select(q => q / 2).ToArray();

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
            (Target, Smaller) = (DecodeEngine.TryCreate(target, threads: 1)!, DecodeEngine.TryCreate(smaller, threads: 1)!);
        }

        public DecodeEngine Target { get; }

        public DecodeEngine Smaller { get; }

        public GeneratedText Write(SamplingOptions options, int guesses, Func<Proposer, Proposer>? told = null)
        {
            var generator = new TextGenerator(Target.Config, (_, capacity) => new SpeculativeLogits(
                Target, Target.NewState(1, capacity), (told ?? (same => same))(new DraftModel(Smaller, options, Vocabulary, guesses)), guesses), tokenizer: null);
            return generator.Generate([Prompt], options)[0];
        }

        /// <summary>By how many of its standard deviations chi-squared differs from its mean, over all texts.</summary>
        public double Deviation(SamplingOptions options, Func<Proposer, Proposer> told)
        {
            var counts = new int[Vocabulary * Vocabulary * Vocabulary];
            for (var seed = 0; seed < Samples; seed++) counts[Write(options with { Seed = seed }, guesses: 2, told).Tokens.Aggregate(0, (number, token) => number * Vocabulary + token)]++;
            var expected = Texts(options).ToArray();
            // Texts that come less than five times in the mean count as one.
            var (rare, cells) = (Enumerable.Range(0, counts.Length).Where(text => expected[text] * Samples < 5).ToArray(), new List<(double Expected, int Found)>());
            foreach (var text in Enumerable.Range(0, counts.Length).Except(rare)) cells.Add((expected[text] * Samples, counts[text]));
            cells.Add((rare.Sum(text => expected[text]) * Samples, rare.Sum(text => counts[text])));
            if (cells[^1].Expected < 5)
            {
                Assert.InRange(cells[^1].Found, 0, 15);
                cells.RemoveAt(cells.Count - 1);
            }
            var degrees = cells.Count - 1;
            Assert.InRange(degrees, 15, counts.Length);
            return (cells.Sum(cell => (cell.Found - cell.Expected) * (cell.Found - cell.Expected) / cell.Expected) - degrees) / Math.Sqrt(2 * degrees);
        }

        /// <summary>The softmax of the logits over the temperature, of the likeliest K and of these the fewest with probability P: [V].</summary>
        public double[] Probabilities(DecodeEngine engine, int[] text, SamplingOptions options)
        {
            using var state = engine.NewState(rows: 1);
            engine.Read(state, [0], [text.Length], text);
            var p = Normalised(engine.LogitsOf(0).ToArray().Select(logit => Math.Exp(logit / options.Temperature)));
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
