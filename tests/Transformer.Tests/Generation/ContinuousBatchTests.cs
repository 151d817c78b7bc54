using System.Runtime.CompilerServices;
using Transformer.Configuration;
using Transformer.Generation;
using Transformer.Generation.Constraints;
using Transformer.Inference;
using Transformer.Inference.Cpu;
using Transformer.Inference.Torch;
using Transformer.Model;
using Transformer.Tokenization;
using static TorchSharp.torch;

namespace Transformer.Tests.Generation;

public sealed class ContinuousBatchTests
{
    private const string GrownNtk = "grown dynamic ntk";
    private static readonly Tokenizer Letters = CharacterTokenizer.FromCorpus(new StringReader("abcdefghijklm"));
    private static readonly SamplingOptions Greedy = SamplingOptions.Greedy;

    public static TheoryData<string> Kinds => [.. Tiny.Models.Keys, GrownNtk];

    // Prompts up to the context, texts past it, some beginning as others do, joins and leaves at any step, prompts in pieces of four
    // tokens.
    [Theory]
    [MemberData(nameof(Kinds))]
    public void Texts_that_come_and_go_get_the_tokens_that_they_would_have_had_alone(string kind)
    {
        using var model = Model(kind);
        using var engine = CpuInferenceModel.TryCreate(model)!;
        using var batch = new ContinuousBatch(engine, slots: 3, Letters, promptTokens: 4);
        var random = new Random(5);
        var (texts, told) = (new List<(int[] Prompt, SamplingOptions Options, int Row, Task<GeneratedText> Text)>(), new List<string>());
        var steps = 0;
        do
        {
            while (texts.Count < 14 && random.Next(3) == 0) Join();
            Assert.InRange(++steps, 1, 400);
        }
        while (batch.Step() || texts.Count < 14);

        for (var i = 0; i < texts.Count; i++)
        {
            var (prompt, options, row, text) = texts[i];
            var alone = new TextGenerator(engine, Letters)
                .Generate([.. Enumerable.Repeat(prompt, row + 1)], options, cancellation: TestContext.Current.CancellationToken)[row];
            Assert.Equal(alone.Tokens, Ended(text).Tokens);
            Assert.Equal((alone.Text, alone.FinishReason), (Ended(text).Text, Ended(text).FinishReason));
            Assert.Equal(alone.Text, told[i]);
        }
        if (kind != "rope") return;
        Assert.Contains(texts, text => Ended(text.Text).FinishReason == FinishReason.StopString);
        Assert.Contains(texts, text => Ended(text.Text).ReusedTokens > 0);

        void Join()
        {
            int[] begun = texts.Count > 0 && random.Next(2) == 0 ? texts[random.Next(texts.Count)].Prompt : [];
            int[] prompt = [.. begun, .. Enumerable.Range(0, random.Next(1, 9)).Select(_ => random.Next(13))];
            var options = new SamplingOptions
            {
                Temperature = random.Next(3) * 0.7,
                TopK = random.Next(2) == 0 ? 5 : null,
                TopP = random.Next(2) == 0 ? 0.8 : null,
                RepetitionPenalty = random.Next(3) == 0 ? 1.2 : 1,
                Seed = random.Next(),
                MaxTokens = random.Next(1, 25),
                Stop = random.Next(2) == 0 ? ["a", "bc"] : [],
            };
            var (number, row) = (told.Count, random.Next(2));
            told.Add("");
            prompt = prompt[..Math.Min(prompt.Length, Tiny.Config.ContextLength)];
            texts.Add((prompt, options, row, batch.Submit(
                prompt, options, row, onText: text => told[number] += text, cancellation: TestContext.Current.CancellationToken)));
        }
    }

    [Fact]
    public async Task Threads_may_submit_and_cancel_while_another_takes_the_steps()
    {
        using var model = Model("hybrid");
        using var engine = CpuInferenceModel.TryCreate(model)!;
        using var batch = new ContinuousBatch(engine, slots: 4, promptTokens: 3);
        using var ended = new CancellationTokenSource();
        var steps = Task.Run(() => batch.Run(ended.Token), TestContext.Current.CancellationToken);
        var found = await Task.WhenAll(Enumerable.Range(0, 40).Select(number => Task.Run(async () =>
        {
            using var cancellation = new CancellationTokenSource();
            var (tokens, options) = (new List<int>(), new SamplingOptions { Seed = number, MaxTokens = 30 });
            var text = await batch.Submit([number % 13, 1, 2], options, onToken: token =>
            {
                tokens.Add(token);
                if (number % 4 == 0 && tokens.Count == 5) cancellation.Cancel();
            }, cancellation: cancellation.Token);
            Assert.Equal(tokens, text.Tokens);
            return (number, options, text);
        })));
        await ended.CancelAsync();
        await steps;

        foreach (var (number, options, text) in found)
        {
            var alone = new TextGenerator(engine)
                .Generate([[number % 13, 1, 2]], options, cancellation: TestContext.Current.CancellationToken)[0];
            var cancelled = number % 4 == 0;
            Assert.Equal(cancelled ? alone.Tokens.Take(5) : alone.Tokens, text.Tokens);
            Assert.Equal(cancelled ? FinishReason.Cancelled : FinishReason.MaxTokens, text.FinishReason);
        }
    }

    [Fact]
    public void A_long_prompt_is_read_in_pieces_while_the_others_get_a_token_a_step()
    {
        using var model = Model("rope");
        using var engine = CpuInferenceModel.TryCreate(model)!;
        using var batch = new ContinuousBatch(engine, slots: 2, promptTokens: 3);
        var (written, begun) = (0, 0);
        Submit(batch, [1], Greedy with { MaxTokens = 12 }, onToken: _ => written++);
        batch.Step();
        Submit(batch, [2, 3, 4, 5, 6, 7, 8, 9], Greedy with { MaxTokens = 2 }, onToken: _ => begun++);
        for (var step = 1; step <= 4; step++)
        {
            batch.Step();
            Assert.Equal((1 + step, step < 3 ? 0 : step - 2), (written, begun));
        }
    }

    // Positions that are read: of the first text its prompt and all tokens but the last; of the others what is not there already, and one
    // where all is.
    [Theory]
    [InlineData(new[] { 1, 2, 3, 4, 5, 9, 9 }, 5)]     // begins as the first prompt
    [InlineData(new[] { 1, 2, 3, 4, 5, 6 }, 5)]        // is the first prompt
    [InlineData(new[] { 1, 2, 3 }, 2)]                 // is its beginning
    [InlineData(new[] { 9, 2, 3, 4, 5, 6 }, 0)]
    public void What_a_text_shares_with_another_is_not_read_again(int[] prompt, int shared)
    {
        foreach (var ended in new[] { true, false })
        {
            using var model = Model("rope");
            using var engine = CpuInferenceModel.TryCreate(model)!;
            using var batch = new ContinuousBatch(engine, slots: 2);
            Submit(batch, [1, 2, 3, 4, 5, 6], Greedy with { MaxTokens = ended ? 1 : 6 });
            batch.Step();
            var before = batch.TokensRead;

            var text = Submit(batch, prompt, Greedy with { MaxTokens = 1 });
            batch.Step();

            Assert.Equal(prompt.Length - shared + (ended ? 0 : 1), batch.TokensRead - before);
            Assert.Equal((shared, shared), (Ended(text).ReusedTokens, batch.TokensReused));
            Assert.Equal(Alone(engine, prompt, 1), Ended(text).Tokens);
        }
    }

    // A second turn of a conversation: all that was read and written, and something new.
    [Theory]
    [MemberData(nameof(Kinds))]
    public void A_text_that_goes_on_is_read_from_where_it_ended_in_every_kind(string kind)
    {
        using var model = Model(kind);
        using var engine = CpuInferenceModel.TryCreate(model)!;
        using var batch = new ContinuousBatch(engine, slots: 2);
        var first = Submit(batch, [1, 2, 3], Greedy with { MaxTokens = 3 });
        while (batch.Step()) ;
        int[] longer = [1, 2, 3, .. Ended(first).Tokens, 7, 8], other = [1, 2, 3, 9];

        var (second, third) = (Submit(batch, longer, Greedy with { MaxTokens = 4 }), Submit(batch, other, Greedy with { MaxTokens = 4 }));
        while (batch.Step()) ;

        using var state = engine.NewState(rows: 1);
        Assert.Equal(engine.AnglesFollowLength ? 0 : 5, Ended(second).ReusedTokens);
        Assert.Equal(state.CanTruncate ? 3 : 0, Ended(third).ReusedTokens);
        Assert.Equal(Alone(engine, longer, 4), Ended(second).Tokens);
        Assert.Equal(Alone(engine, other, 4), Ended(third).Tokens);
    }

    [Theory]
    [InlineData("rope", 8 + 1 + 1)]
    [InlineData("gated_delta", 8 + 1 + 8)]    // read to its end, a recurrence has no way back by one
    public void Equal_prompts_that_come_together_are_read_once_where_the_state_can_forget(string kind, int read)
    {
        using var model = Model(kind);
        using var engine = CpuInferenceModel.TryCreate(model)!;
        using var batch = new ContinuousBatch(engine, slots: 2, promptTokens: 3);
        int[] prompt = [1, 2, 3, 4, 5, 6, 7, 8];
        var texts = new[] { Submit(batch, prompt, Greedy with { MaxTokens = 2 }), Submit(batch, prompt, Greedy with { MaxTokens = 1 }) };
        while (batch.Step()) ;
        Assert.Equal(read, batch.TokensRead);
        Assert.Equal(Alone(engine, prompt, 2), Ended(texts[0]).Tokens);
        Assert.Equal(Alone(engine, prompt, 1), Ended(texts[1]).Tokens);
    }

    [Fact]
    public void A_prompt_that_waits_for_what_another_reads_holds_up_nobody()
    {
        using var model = Model("rope");
        using var engine = CpuInferenceModel.TryCreate(model)!;
        using var batch = new ContinuousBatch(engine, slots: 3, promptTokens: 3);
        int[] prompt = [1, 2, 3, 4, 5, 6, 7, 8];
        var begun = new List<int>();
        var texts = new[] { prompt, prompt, [9], [10] }
            .Select((text, number) => Submit(batch, text, Greedy with { MaxTokens = 2 }, onToken: _ => begun.Add(number))).ToArray();
        batch.Step();
        Assert.Equal([2, 3], begun);
        while (batch.Step()) ;
        Assert.Equal(7, Ended(texts[1]).ReusedTokens);
        Assert.Equal(Alone(engine, prompt, 2), Ended(texts[1]).Tokens);
    }

    // Bytes that this thread takes; the automaton of the constraint alone takes many times as much.
    [Fact]
    public void Texts_of_a_constraint_share_its_masks_which_none_has_while_it_waits()
    {
        using var model = Model("rope");
        using var engine = CpuInferenceModel.TryCreate(model)!;
        using var batch = new ContinuousBatch(engine, slots: 1, Letters);
        var options = Greedy with
        {
            MaxTokens = 3,
            Constraint = TextConstraint.Regex($"({string.Join('|', "abcdefghijklm".Select(letter => $"[a-m]{{9}}{letter}[b-l]{{9}}"))})")
        };
        var automaton = Allocated(() => options.Constraint.ToAutomaton());
        Submit(batch, [1, 2], options);
        var first = Allocated(() => { while (batch.Step()) ; });

        var waits = Allocated(() => Submit(batch, [1, 2], options));
        var second = Allocated(() => { while (batch.Step()) ; });

        Assert.InRange(automaton, 50_000, first);
        Assert.InRange(waits, 0, 10_000);
        Assert.InRange(second, 0, automaton / 4);

        static long Allocated(Action action)
        {
            var before = GC.GetAllocatedBytesForCurrentThread();
            action();
            return GC.GetAllocatedBytesForCurrentThread() - before;
        }
    }

    // Each text takes a share of what the automaton may do, and all together more than there is.
    [Fact]
    public void A_text_whose_constraint_others_have_used_up_is_the_one_that_it_would_have_been_alone()
    {
        using var model = Model("rope");
        using var engine = CpuInferenceModel.TryCreate(model)!;
        using var batch = new ContinuousBatch(engine, slots: 3, Letters);
        var constraint = TextConstraint.Regex("([ab]*a[ab]{10,30}){20}");
        var told = new List<int>[3];
        var texts = told.Select((_, number) =>
        {
            var tokens = told[number] = [];
            return Submit(batch, [number], new SamplingOptions { Seed = number, MaxTokens = 550, Constraint = constraint }, tokens.Add);
        }).ToArray();
        while (batch.Step()) ;
        for (var number = 0; number < texts.Length; number++)
        {
            var options = new SamplingOptions { Seed = number, MaxTokens = 550, Constraint = constraint };
            var alone = new TextGenerator(engine, Letters)
                .Generate([[number]], options, cancellation: TestContext.Current.CancellationToken)[0];
            Assert.Equal(alone.Tokens, Ended(texts[number]).Tokens);
            Assert.Equal(alone.Tokens, told[number]);
        }
    }

    // After b nothing of the vocabulary goes on.
    [Fact]
    public async Task A_constraint_that_cannot_be_kept_to_ends_its_own_text_only()
    {
        using var model = Model("rope");
        using var engine = CpuInferenceModel.TryCreate(model)!;
        using var batch = new ContinuousBatch(engine, slots: 2, Letters);
        var told = new List<int>();
        var first = Submit(batch, [1], Greedy with { Constraint = TextConstraint.Regex("z") });
        var later = Submit(batch, [1], Greedy with { Constraint = TextConstraint.Regex("bz") }, told.Add);
        var good = Submit(batch, [3], Greedy with { MaxTokens = 5 });
        while (batch.Step()) ;
        foreach (var bad in new[] { first, later })
            Assert.Contains("requires 'z' next", (await Assert.ThrowsAsync<InputException>(() => bad)).Message);
        Assert.Equal([1], told);
        Assert.Equal(Alone(engine, [3], 5), (await good).Tokens);
    }

    [Fact]
    public async Task What_a_callback_throws_ends_its_own_text_only()
    {
        using var model = Model("rope");
        using var engine = CpuInferenceModel.TryCreate(model)!;
        using var batch = new ContinuousBatch(engine, slots: 2);
        var (bad, good) = (
            Submit(batch, [1, 2], Greedy, onToken: _ => throw new IOException("gone")), Submit(batch, [3], Greedy with { MaxTokens = 5 }));
        while (batch.Step()) ;
        Assert.Equal("gone", (await Assert.ThrowsAsync<IOException>(() => bad)).Message);
        Assert.Equal(Alone(engine, [3], 5), (await good).Tokens);
    }

    [Fact]
    public async Task A_callback_takes_no_steps_and_does_not_end_the_batch()
    {
        using var model = Model("rope");
        using var engine = CpuInferenceModel.TryCreate(model)!;
        using var batch = new ContinuousBatch(engine, slots: 3);
        Action[] forbidden = [() => batch.Step(), () => batch.Run(CancellationToken.None), batch.Dispose];
        var bad = forbidden.Select(act => Submit(batch, [1, 2], Greedy, onToken: _ => act())).ToArray();
        var good = Submit(batch, [3], Greedy with { MaxTokens = 5 });
        while (batch.Step()) ;
        foreach (var text in bad)
            Assert.Contains("a callback may submit", (await Assert.ThrowsAsync<InvalidOperationException>(() => text)).Message);
        Assert.Equal(Alone(engine, [3], 5), (await good).Tokens);
    }

    [Fact]
    public async Task A_pass_that_fails_ends_the_texts_that_run_and_none_that_comes_later()
    {
        using var model = Model("rope");
        using var engine = CpuInferenceModel.TryCreate(model)!;
        using var other = CpuInferenceModel.TryCreate(model)!;
        using var batch = new ContinuousBatch(engine, slots: 2);
        var (first, second, later) = (
            Submit(batch, [1, 2, 3, 4], Greedy), Submit(batch, [5], Greedy), Submit(batch, [1, 2, 3, 4], Greedy with { MaxTokens = 5 }));
        batch.Step();
        ModelOf(batch) = other;
        Assert.True(batch.Step());
        ModelOf(batch) = engine;
        foreach (var text in new[] { first, second })
            Assert.Contains("another model's", (await Assert.ThrowsAsync<ArgumentException>(() => text)).Message);
        while (batch.Step()) ;
        Assert.Equal(0, (await later).ReusedTokens);
        Assert.Equal(Alone(engine, [1, 2, 3, 4], 5), (await later).Tokens);

        [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "model")]
        static extern ref InferenceModel ModelOf(ContinuousBatch batch);
    }

    [Fact]
    public async Task Whoever_takes_the_steps_returns_when_the_batch_is_disposed()
    {
        using var model = Model("rope");
        using var engine = CpuInferenceModel.TryCreate(model)!;
        foreach (var submits in new[] { false, true })
        {
            var batch = new ContinuousBatch(engine, slots: 1);
            var runs = Enumerable.Range(0, 2)
                .Select(_ => Task.Run(() => batch.Run(CancellationToken.None), TestContext.Current.CancellationToken)).ToArray();
            if (submits) await Submit(batch, [1], Greedy with { MaxTokens = 3 });
            batch.Dispose();
            await Task.WhenAll(runs).WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
        }
    }

    [Fact]
    public void Texts_that_wait_or_run_when_the_batch_is_disposed_are_cancelled()
    {
        using var model = Model("rope");
        using var engine = CpuInferenceModel.TryCreate(model)!;
        var batch = new ContinuousBatch(engine, slots: 1);
        var (running, waiting) = (Submit(batch, [1], Greedy), Submit(batch, [2], Greedy));
        batch.Step();
        batch.Dispose();
        Assert.Equal((FinishReason.Cancelled, 1), (Ended(running).FinishReason, Ended(running).Tokens.Count));
        Assert.Equal((FinishReason.Cancelled, 0), (Ended(waiting).FinishReason, Ended(waiting).Tokens.Count));
        Refuses<ObjectDisposedException>(() => Submit(batch, [1], Greedy), "disposed");
    }

    [Fact]
    public void A_prompt_that_is_no_prompt_is_refused_at_once()
    {
        using var model = Model("rope");
        using var engine = CpuInferenceModel.TryCreate(model)!;
        using var batch = new ContinuousBatch(engine, slots: 1);
        Refuses<InputException>(() => Submit(batch, new int[13], Greedy), "13 tokens do not fit");
        Refuses<InputException>(() => Submit(batch, [1], new SamplingOptions { TopP = 2 }), "top_p");
    }

    private static Task<GeneratedText> Submit(ContinuousBatch batch, int[] prompt, SamplingOptions options, Action<int>? onToken = null) =>
        batch.Submit(prompt, options, onToken: onToken, cancellation: TestContext.Current.CancellationToken);

    // Nobody waits: the steps have been taken.
    private static GeneratedText Ended(Task<GeneratedText> text)
    {
        Assert.True(text.IsCompleted);
        return text.GetAwaiter().GetResult();
    }

    private static void Refuses<T>(Action submit, string message) where T : Exception =>
        Assert.Contains(message, Assert.Throws<T>(submit).Message);

    private static IReadOnlyList<int> Alone(InferenceModel engine, int[] prompt, int tokens) =>
        new TextGenerator(engine)
            .Generate([prompt], Greedy with { MaxTokens = tokens }, cancellation: TestContext.Current.CancellationToken)[0].Tokens;

    private static TransformerModel Model(string kind)
    {
        manual_seed(21);
        return kind == GrownNtk
            ? new TransformerModel(Tiny.Config with
            {
                Position = new RotaryPositionConfig { Scaling = new DynamicNtkScalingConfig { Factor = 4, OriginalLength = 5 } }
            })
            : Tiny.Model(kind);
    }
}
