using Transformer.Configuration;
using Transformer.Generation;
using Transformer.Inference;
using Transformer.Inference.Cpu;
using Transformer.Inference.Torch;
using Transformer.Model;
using Transformer.Tokenization;
using static TorchSharp.torch;

namespace Transformer.Tests.Generation;

// V vocabulary

public sealed class BeamSearchTests
{
    private const double Tolerance = 1e-4;
    private static readonly int[] Prompt = [1, 2, 0];

    public static TheoryData<string> Kinds => [.. Tiny.Models.Keys];

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(-0.5)]
    [InlineData(2.5)]
    public void With_beams_for_all_texts_the_search_finds_what_looking_at_all_of_them_finds(double lengthPenalty)
    {
        using var model = Four();
        using var engine = CpuInferenceModel.TryCreate(model)!;
        var all = All(model, [], 0).OrderByDescending(text => text.LogProbability / Math.Pow(text.Length, lengthPenalty)).ToArray();

        var found = new BeamSearch(engine, new LastEnds())
            .Search(Prompt, beams: 256, maxTokens: 4, lengthPenalty, TestContext.Current.CancellationToken);

        Assert.Equal(1 + 3 + 9 + 27 + 81, all.Length);
        Assert.Equal(all.Length, found.Count);
        for (var rank = 0; rank < all.Length; rank++)
        {
            Near.Equal(all[rank].LogProbability, found[rank].LogProbability, Tolerance, $"log-probability of rank {rank}");
            Near.Equal(
                all[rank].LogProbability / Math.Pow(all[rank].Length, lengthPenalty), found[rank].Score, Tolerance,
                $"score of rank {rank}");
        }
        Assert.Equal(all[0].Tokens, found[0].Tokens);
        Assert.Equal(all[0].Tokens.Length == all[0].Length ? FinishReason.MaxTokens : FinishReason.EndOfText, found[0].FinishReason);
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void With_one_beam_it_is_greedy_decoding(string kind)
    {
        using var model = Model(kind);
        using var engine = CpuInferenceModel.TryCreate(model)!;
        var greedy = new TextGenerator(engine)
            .Generate([Prompt], SamplingOptions.Greedy with { MaxTokens = 9 }, cancellation: TestContext.Current.CancellationToken)[0];
        Assert.Equal(greedy.Tokens, Assert.Single(Search(engine, beams: 1, maxTokens: 9)).Tokens);
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Texts_and_scores_are_those_of_the_search_that_reads_every_text_anew(string kind)
    {
        using var model = Model(kind);
        using var engine = CpuInferenceModel.TryCreate(model)!;
        var expected = Plainly(model, beams: 4, tokens: 7);

        var found = Search(engine, beams: 4, maxTokens: 7);

        Assert.Equal(expected.Select(text => text.Tokens), found.Select(text => text.Tokens));
        for (var rank = 0; rank < found.Count; rank++)
        {
            Near.Equal(expected[rank].LogProbability, found[rank].LogProbability, Tolerance, "log-probability");
            Near.Equal(found[rank].LogProbability / 7, found[rank].Score, 1e-12, "score");
        }
    }

    [Fact]
    public void More_beams_find_a_likelier_text_than_greedy_decoding()
    {
        using var model = Model("rope");
        using var engine = CpuInferenceModel.TryCreate(model)!;
        Assert.True(Search(engine, beams: 16, maxTokens: 8)[0].LogProbability > Search(engine, beams: 1, maxTokens: 8)[0].LogProbability);
    }

    [Fact]
    public void The_search_ends_when_enough_texts_have_ended_and_none_that_runs_is_better()
    {
        // The hidden state is 1 throughout, so that logits are sums of the head's rows, whatever was read.
        using var model = new TransformerModel(Tiny.Config with { VocabularySize = 4, TiedHead = false, Norm = new LayerNormConfig() });
        using (no_grad())
        {
            model.Weight("model.norm.weight").zero_();
            model.Weight("model.norm.bias").fill_(1);
            model.Weight("lm_head.weight").copy_(tensor([0.2f, 0.1f, 0.1f, 0.6f]).log().div(Tiny.Config.Width).unsqueeze(1));
        }
        using var engine = CpuInferenceModel.TryCreate(model)!;

        var found = new BeamSearch(engine, new LastEnds())
            .Search(Prompt, beams: 2, maxTokens: 9, cancellation: TestContext.Current.CancellationToken);

        // After two tokens there are "", "a" and "b"; "aa", the best that runs, has log(0.04) / 2.
        Assert.Equal([[], [0]], found.Select(text => text.Tokens));
        Assert.All(found, text => Assert.Equal(FinishReason.EndOfText, text.FinishReason));
        Near.Equal(Math.Log(0.6), found[0].Score, Tolerance);
        Near.Equal(Math.Log(0.2 * 0.6) / 2, found[1].Score, Tolerance);
    }

    [Fact]
    public void Wrong_numbers_and_texts_past_the_context_are_refused()
    {
        using var model = Model("rope");
        using var engine = CpuInferenceModel.TryCreate(model)!;
        Assert.Equal(10, Search(engine, beams: 2, maxTokens: 10)[0].Tokens.Count);
        Assert.Contains("Take 10 or fewer", Refusal(() => Search(engine, beams: 2, maxTokens: 11)));
        Assert.Contains("max_tokens: found 0", Refusal(() => Search(engine, beams: 2, maxTokens: 0)));
        Assert.Contains("beams: found 0", Refusal(() => Search(engine, beams: 0, maxTokens: 1)));
        Assert.Contains(
            "length_penalty",
            Refusal(() => new BeamSearch(engine).Search(Prompt, 1, 1, double.NaN, TestContext.Current.CancellationToken)));

        static string Refusal(Func<object> search) => Assert.Throws<InputException>(search).Message;
    }

    private static IReadOnlyList<Hypothesis> Search(InferenceModel engine, int beams, int maxTokens) =>
        new BeamSearch(engine).Search(Prompt, beams, maxTokens, cancellation: TestContext.Current.CancellationToken);

    // Every text of up to four tokens, ended by the last token of the vocabulary or by its length, which counts that token.
    private static IEnumerable<(int[] Tokens, int Length, double LogProbability)> All(
        TransformerModel model, int[] tokens, double logProbability)
    {
        var next = LogProbabilities(model, [.. Prompt, .. tokens]);
        for (var token = 0; token < next.Length; token++)
        {
            var (length, sum) = (tokens.Length + 1, logProbability + next[token]);
            if (token == LastEnds.End) yield return (tokens, length, sum);
            else if (length == 4) yield return ([.. tokens, token], length, sum);
            else
                foreach (var longer in All(model, [.. tokens, token], sum)) yield return longer;
        }
    }

    private static (int[] Tokens, double LogProbability)[] Plainly(TransformerModel model, int beams, int tokens)
    {
        (int[] Tokens, double LogProbability)[] running = [([], 0)];
        for (var length = 1; length <= tokens; length++)
        {
            running =
            [
                .. running.SelectMany(text => LogProbabilities(model, [.. Prompt, .. text.Tokens])
                    .Select((next, token) => (Tokens: (int[])[.. text.Tokens, token], LogProbability: text.LogProbability + next)))
                    .OrderByDescending(text => text.LogProbability).Take(beams),
            ];
        }
        return running;
    }

    private static double[] LogProbabilities(TransformerModel model, int[] text)
    {
        using var inference = inference_mode();
        using var scope = NewDisposeScope();
        model.eval();
        return [.. nn.functional.log_softmax(
            model.forward(tensor(text.Select(token => (long)token).ToArray()).unsqueeze(0), null)[0, -1].to(float64), 0).data<double>()];
    }

    private static TransformerModel Model(string kind)
    {
        manual_seed(22);
        return Tiny.Model(kind);
    }

    private static TransformerModel Four()
    {
        manual_seed(23);
        return new TransformerModel(Tiny.Config with { VocabularySize = 4 });
    }

    // Four tokens, the last of which ends a text.
    private sealed class LastEnds() : Tokenizer([[97], [98], [99], []], ends: End)
    {
        public const int End = 3;

        private protected override void Encode(ReadOnlySpan<char> text, long position, List<int> ids) => throw new NotSupportedException();

        private protected override int LastCut(ReadOnlySpan<char> text) => throw new NotSupportedException();
    }
}
