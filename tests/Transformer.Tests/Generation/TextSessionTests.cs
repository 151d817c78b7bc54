using Transformer.Generation;
using Transformer.Generation.Constraints;
using Transformer.Inference;
using Transformer.Inference.Cpu;
using Transformer.Inference.Torch;
using Transformer.Model;
using Transformer.Tests.Inference;
using Transformer.Tests.Onnx;
using Transformer.Tokenization;

namespace Transformer.Tests.Generation;

/// <summary>Texts that are interrupted, saved and resumed.</summary>
public sealed class TextSessionTests : IDisposable
{
    private static readonly int[] Prompt = [1, 5, 2, 7];
    private static readonly SamplingOptions Sampled = new() { Temperature = 0.9, TopP = 0.95, RepetitionPenalty = 1.2, Seed = 5 };

    private static readonly CancellationToken Cancelled = new(canceled: true);

    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    private string Saved => folder["state"];

    private static CancellationToken Now => TestContext.Current.CancellationToken;

    public static TheoryData<string, string> Kinds =>
    [
        .. from backend in (string[])[InferenceBackends.Cpu, InferenceBackends.Torch, InferenceBackends.Onnx]
           from kind in Tiny.Models.Keys
           where backend != InferenceBackends.Onnx || Tiny.HasGraph(kind)
           select new TheoryDataRow<string, string>(backend, kind),
    ];

    // Three parts: within the context, up to it, and past it.
    [Theory]
    [MemberData(nameof(Kinds))]
    public void A_text_of_three_parts_has_the_tokens_of_one(string backend, string kind) =>
        InferenceBackends.With(backend, kind, (model, _) =>
        {
            var generator = new TextGenerator(model);
            foreach (var options in (SamplingOptions[])[SamplingOptions.Greedy, Sampled])
                Assert.Equal(InOne(generator, options, 24), InParts(() => generator, options, 3, 7, 14));
        });

    [Theory]
    [InlineData(ContextPolicy.Slide)]
    [InlineData(ContextPolicy.Sinks)]
    public void A_text_that_outgrew_the_context_goes_on_under_its_policy(ContextPolicy policy)
    {
        foreach (var backend in (string[])[InferenceBackends.Cpu, InferenceBackends.Torch])
        {
            InferenceBackends.With(backend, "rope", (model, _) =>
            {
                var generator = new TextGenerator(model) { ContextPolicy = policy };
                Assert.Equal(InOne(generator, Sampled, 40), InParts(() => new(model), Sampled, 20, 1, 19, begin: generator));
            });
        }
    }

    [Fact]
    public void Characters_stop_strings_and_constraints_go_on_where_they_were()
    {
        using var model = Bytes();
        var generator = new TextGenerator(model, new ByteTokenizer());
        var prompt = generator.Encode("x");
        foreach (var options in (SamplingOptions[])
        [
            Sampled with { Constraint = TextConstraint.Regex("(äöü){9}.*") },
            Sampled with { Constraint = TextConstraint.Regex("(ab|ba){5,}c.*"), Stop = ["abab", "bac"] },
            Sampled with { Constraint = TextConstraint.JsonSchema("""{"type": "array", "items": {"type": "integer"}}""") },
        ])
        {
            var whole = generator.Generate([prompt], options with { MaxTokens = 40 }, cancellation: Now)[0];
            for (var first = 1; first < whole.Tokens.Count; first++)
            {
                string[] parts;
                using (var session = generator.Begin(prompt, options with { MaxTokens = first }))
                {
                    parts = [session.Run(cancellation: Now).Text];
                    session.Save(Saved);
                }
                using var again = generator.Resume(Saved, "", earlier => earlier with { MaxTokens = 40 - first });
                var rest = again.Run(cancellation: Now);
                if (rest.FinishReason == FinishReason.MaxTokens) again.Save(Saved);
                Assert.Equal(whole.FinishReason, rest.FinishReason);
                Assert.Equal(whole.Tokens.Skip(first), rest.Tokens);
                Assert.StartsWith(parts[0] + rest.Text, whole.Text);
            }
        }
    }

    [Fact]
    public void The_stream_of_the_seed_goes_on_unless_another_seed_is_given()
    {
        using var model = CpuInferenceModel.TryCreate(OnnxCases.ModelOf("rope"))!;
        var generator = new TextGenerator(model);
        using (var session = generator.Begin(Prompt, Sampled with { MaxTokens = 3 }))
        {
            session.Run(cancellation: Now);
            session.Save(Saved);
        }
        int[] After(long seed)
        {
            using var session = generator.Resume(Saved, "", earlier => earlier with { Seed = seed, MaxTokens = 20 });
            return [.. session.Run(cancellation: Now).Tokens];
        }
        Assert.Equal(InOne(generator, Sampled, 23)[3..], After(Sampled.Seed));
        Assert.NotEqual(After(Sampled.Seed), After(6));
    }

    [Fact]
    public void A_text_that_was_cancelled_before_or_while_it_was_read_goes_on()
    {
        InferenceBackends.With(InferenceBackends.Cpu, "rope", (model, _) =>
        {
            var generator = new TextGenerator(model) { ContextPolicy = ContextPolicy.Sinks };
            int[] prompt = [.. Enumerable.Range(0, 60).Select(token => token * token % 13)];
            var whole = generator.Generate([prompt], Sampled with { MaxTokens = 5 }, cancellation: Now)[0];
            using (var session = generator.Begin(prompt, Sampled with { MaxTokens = 5 }))
            {
                Assert.Equal(FinishReason.Cancelled, session.Run(cancellation: Cancelled).FinishReason);
                session.Save(Saved);
            }
            using var again = generator.Resume(Saved, "", earlier => earlier with { MaxTokens = 5 });
            var rest = again.Run(cancellation: Now);
            Assert.Equal(whole.Tokens, rest.Tokens);
            Assert.Equal(new DroppedContext(ContextPolicy.Sinks, 60 + 4 - 12, 0), rest.Dropped);
        });
    }

    [Fact]
    public void More_text_is_appended_to_what_was_saved()
    {
        using var model = Bytes();
        var generator = new TextGenerator(model, new ByteTokenizer());
        using (var session = generator.Begin(generator.Encode("Once"), SamplingOptions.Greedy with { MaxTokens = 4 }))
        {
            session.Run(cancellation: Now);
            session.Save(Saved);
        }
        var first = generator.GenerateText(["Once"], SamplingOptions.Greedy with { MaxTokens = 4 }, cancellation: Now)[0];
        int[] prompt = [.. generator.Encode("Once"), .. first.Tokens, .. generator.Encode(" upon")];
        using var again = generator.Resume(Saved, " upon", earlier => earlier with { MaxTokens = 6 });
        var expected = generator.Generate([prompt], SamplingOptions.Greedy with { MaxTokens = 6 }, cancellation: Now)[0];
        Assert.Equal(expected.Tokens, again.Run(cancellation: Now).Tokens);
    }

    // Of abcabc the first part shows abc.
    [Theory]
    [InlineData("abcx", "abcd")]
    [InlineData("bca", "abcd")]
    [InlineData("bc", "a")]
    [InlineData("dd", "abcd")]
    public void New_stop_strings_are_looked_for_only_in_what_was_not_shown(string stop, string expected)
    {
        using var model = Bytes();
        var generator = Interrupted(model, "abcabcdzz.*", 6);
        using (var second = generator.Resume(Saved, "", earlier => earlier with { Stop = [stop], MaxTokens = 1 }))
        {
            var shown = "";
            Assert.Equal(expected, second.Run(onText: piece => shown += piece, cancellation: Now).Text + (stop == "dd" ? "d" : ""));
            Assert.Equal(expected, shown + (stop == "dd" ? "d" : ""));
            second.Save(Saved);
        }
        if (expected == "a") return;
        using var third = generator.Resume(Saved, "", earlier => earlier with { MaxTokens = 2 });
        Assert.Equal(stop == "dd" ? "dzz" : "zz", third.Run(cancellation: Now).Text);
    }

    [Theory]
    [InlineData("abcabcd.*", 6, "abc")]
    [InlineData("bä.*", 2, "\ufffd")]
    [InlineData("abcd.*", 4, "")]
    public void What_was_held_back_is_there_where_text_is_appended_or_the_last_part_ends(string pattern, int tokens, string held)
    {
        using var model = Bytes();
        var generator = Interrupted(model, pattern, tokens);
        using (var more = generator.Resume(Saved, "m", earlier => earlier with { Constraint = null })) Assert.Equal(held, more.HeldBack);
        using var last = generator.Begin(generator.Encode("x"), Held(pattern, tokens));
        Assert.EndsWith(held, last.Run(isLast: true, cancellation: Now).Text);
        Assert.Throws<InvalidOperationException>(() => last.Save(Saved));
    }

    private static SamplingOptions Held(string pattern, int tokens) =>
        SamplingOptions.Greedy with { Constraint = TextConstraint.Regex(pattern), Stop = ["abcx"], MaxTokens = tokens };

    private TextGenerator Interrupted(InferenceModel model, string pattern, int tokens)
    {
        var generator = new TextGenerator(model, new ByteTokenizer());
        using var session = generator.Begin(generator.Encode("x"), Held(pattern, tokens));
        session.Run(cancellation: Now);
        session.Save(Saved);
        return generator;
    }

    private static InferenceModel Bytes() => CpuInferenceModel.TryCreate(
        new TransformerModel(Tiny.Config with { VocabularySize = 256, ContextLength = 64 }))!;

    private static int[] InOne(TextGenerator generator, SamplingOptions options, int tokens) =>
        [.. generator.Generate([Prompt], options with { MaxTokens = tokens }, cancellation: Now)[0].Tokens];

    private int[] InParts(
        Func<TextGenerator> generator, SamplingOptions options, int first, int second, int third, TextGenerator? begin = null)
    {
        List<int> tokens = [];
        using (var session = (begin ?? generator()).Begin(Prompt, options with { MaxTokens = first })) Part(session);
        foreach (var count in (int[])[second, third])
        {
            using var session = generator().Resume(Saved, "", earlier => earlier with { MaxTokens = count });
            Part(session);
        }
        return [.. tokens];

        void Part(TextSession session)
        {
            tokens.AddRange(session.Run(cancellation: Now).Tokens);
            session.Save(Saved);
        }
    }
}
