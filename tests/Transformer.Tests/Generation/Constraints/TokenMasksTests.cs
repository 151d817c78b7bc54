using System.Diagnostics;
using Transformer.Configuration;
using Transformer.Generation;
using Transformer.Generation.Constraints;
using Transformer.Tests.Tokenization;
using Transformer.Tokenization;

namespace Transformer.Tests.Generation.Constraints;

public sealed class TokenMasksTests
{
    private static readonly TextConstraint Constraint =
        TextConstraint.Regex(
            """ ?(\{ ?"name": ?"[A-Zé€😀][a-zß ]{0,8}"(, "n": [0-9]+)? ?\}|(yes|no)( ?[,.] ?(yes|no|never)){0,4}|.{0,3}é+)""");

    private static readonly TextConstraint Words = TextConstraint.Regex(
        """ (\{( "name": "Ab c")* \}|(yes|no)( [,.] (yes|no|never)){0,4}|é( éé| é){0,3})""");

    internal static IReadOnlyDictionary<string, Tokenizer> Tokenizers { get; } = new Dictionary<string, Tokenizer>
    {
        ["byte"] = new ByteTokenizer(),
        ["character"] = CharacterTokenizer.FromCorpus(new StringReader("abcdefghijklmnopqrstuvwxyz {}\"0123456789:,.[]-\nABé€😀ß\\")),
        ["GPT-2"] = TokenizerGoldens.Gpt2,
        ["Llama"] = TokenizerGoldens.Stories,
        ["word"] = new WordTokenizer([
            "yes", "no", "never", ",", ".", "é", "éé", "{", "}",
            "\"name\":", "\"Ab", "c\"", "[", "]", ":", "true", "1", "\"a\"", "\"b\""]),
    };

    public static TheoryData<string> Kinds => [.. Tokenizers.Keys];

    // The states of a random walk over tokens, and in each of them every token by itself.
    [Theory]
    [MemberData(nameof(Kinds))]
    public void A_token_may_follow_where_its_bytes_can(string kind)
    {
        var tokenizer = Tokenizers[kind];
        var constraint = kind == "word" ? Words : Constraint;
        var (masks, automaton, random) = (Masks(tokenizer, constraint), constraint.ToAutomaton(), new Random(1337));
        for (var text = 0; text < (kind == "GPT-2" ? 1 : 4); text++)
        {
            var previous = text == 0 && tokenizer.BeginOfText is { } begin ? begin : 0;
            var (state, expected) = (masks.Start, automaton.Start);
            for (var length = 0; length < 12; length++)
            {
                var mask = masks.Of(state, previous);
                var following = new List<int>();
                for (var token = 0; token < tokenizer.VocabularySize; token++)
                {
                    var isEnd = token == tokenizer.EndOfText || token == tokenizer.BeginOfText;
                    var bytes = tokenizer.BytesOf(token, previous);
                    var follows = isEnd ? expected.Accepts : !bytes.IsEmpty && automaton.Next(expected, bytes) is not null;
                    Assert.True(follows == mask.Allows(token), $"token {token} after {length}: expected {follows}");
                    if (follows && !isEnd) following.Add(token);
                }
                Assert.Equal(following.Count > 0, mask.AllowsText);
                if (following.Count == 0) break;
                var chosen = following[random.Next(following.Count)];
                expected = automaton.Next(expected, tokenizer.BytesOf(chosen, previous))!;
                (state, previous) = (masks.After(state, chosen, previous), chosen);
                Assert.Equal(expected.Accepts, state.Accepts);
            }
        }
    }

    [Fact]
    public void A_token_may_hold_a_part_of_a_character()
    {
        var masks = Masks(new ByteTokenizer(), TextConstraint.Regex("[é-ë]"));
        Assert.Equal([0xC3], Allowed(masks.Of(masks.Start, 0), 256));
        Assert.Equal([0xA9, 0xAA, 0xAB], Allowed(masks.Of(masks.After(masks.Start, 0xC3, 0), 0xC3), 256));
    }

    [Fact]
    public void A_mask_leaves_the_logits_of_what_may_follow_and_so_the_ratios_of_their_probabilities()
    {
        var masks = Masks(new ByteTokenizer(), TextConstraint.Regex("[a-f0-9é]{3}"));
        var random = new Random(1337);
        float[] logits = [.. Enumerable.Range(0, 256).Select(_ => (float)random.NextDouble() * 8 - 4)], masked = [.. logits];
        new TokenConstraint(masks, 0).Mask(masked);
        var allowed = Allowed(masks.Of(masks.Start, 0), 256);
        Assert.Equal([.. "0123456789abcdef".Select(character => (int)character), 0xC3], allowed);
        for (var token = 0; token < 256; token++)
            Assert.Equal(allowed.Contains(token) ? logits[token] : float.NegativeInfinity, masked[token]);
    }

    // Five standard deviations of the frequency of a token among 10,000; each is drawn by a row of its own.
    [Fact]
    public void Tokens_that_may_follow_are_drawn_as_often_as_they_are_likely_among_themselves()
    {
        const int Draws = 10_000;
        var masks = Masks(new ByteTokenizer(), TextConstraint.Regex("[abc]d*"));
        var logits = new float[256];
        (logits['a'], logits['b'], logits['c'], logits['d']) = (1, 2, 0.5f, 9);
        var total = Math.Exp(1) + Math.Exp(2) + Math.Exp(0.5);
        var counts = new int[256];
        for (var row = 0; row < Draws; row++)
            counts[new TokenSampler(new SamplingOptions(), 256, row) { Constraint = new TokenConstraint(masks, 0) }.Next([.. logits])]++;
        foreach (var token in "abc")
        {
            var share = Math.Exp(logits[token]) / total;
            Assert.Equal(share, (double)counts[token] / Draws, tolerance: 5 * Math.Sqrt(share * (1 - share) / Draws));
        }
        Assert.Equal(Draws, counts['a'] + counts['b'] + counts['c']);
    }

    [Fact]
    public void Top_k_is_of_what_may_follow()
    {
        var masks = Masks(new ByteTokenizer(), TextConstraint.Regex("[ab]"));
        var logits = new float[256];
        logits['z'] = 50;
        Assert.InRange(new TokenSampler(new SamplingOptions { TopK = 1, RepetitionPenalty = 1.3 }, 256)
        {
            Constraint = new TokenConstraint(masks, 0)
        }.Next(logits), 'a', 'b');
    }

    [Fact]
    public void Choosing_in_a_state_that_is_known_allocates_nothing()
    {
        var masks = Masks(new ByteTokenizer(), TextConstraint.Regex("[ab]*"));
        var sampler = new TokenSampler(new SamplingOptions(), 256) { Constraint = new TokenConstraint(masks, 0) };
        var logits = new float[256];
        for (var warm = 0; warm < 100; warm++) Choose();
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var n = 0; n < 100; n++) Choose();
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);

        void Choose()
        {
            logits.AsSpan().Clear();
            sampler.Next(logits);
        }
    }

    [Fact]
    public void Where_no_token_can_go_on_the_error_says_what_was_asked_for()
    {
        var masks = Masks(CharacterTokenizer.FromCorpus(new StringReader("ab")), TextConstraint.Regex("a([0-9]| é)?c"));
        masks.Of(masks.Start, 0);
        var refusal = Assert.Throws<InputException>(() => masks.Of(masks.After(masks.Start, 0, 0), 0));
        Assert.Equal("the constraint requires a space, '0' to '9', 'c' next, and none of the tokenizer's 2 tokens continues with it. " +
            "Take a constraint that its tokens can spell.", refusal.Message);
    }

    // A mask has one bit per token: 6.3 kB, more than the rest of the state.
    [Fact]
    public void The_masks_count_in_what_a_constraint_may_take()
    {
        var (tokenizer, count) = (TokenizerGoldens.Gpt2, 0);
        var (masks, letter) = (Masks(tokenizer, TextConstraint.Regex("a{1000000}")), tokenizer.Encode("a")[0]);
        var state = masks.Start;
        Assert.Contains("too many states", Assert.Throws<InputException>(() =>
        {
            for (; count < 30_000; count++)
            {
                masks.Of(state, letter);
                state = masks.After(state, letter, letter);
            }
        }).Message);
        Assert.InRange(count, 10_000, 100_000_000 / (tokenizer.VocabularySize / 8));
    }

    [Fact]
    public void Fifty_thousand_tokens_take_milliseconds_a_state()
    {
        var masks = Masks(TokenizerGoldens.Gpt2, TextConstraint.JsonSchema(TextConstraintJsonSchemaTests.Person));
        var (state, previous, seconds) = (masks.Start, 0, new List<double>());
        foreach (var token in TokenizerGoldens.Gpt2.Encode("""{"name": "Ab", "tags": ["a"], "home": {"street": "x"""))
        {
            var clock = Stopwatch.StartNew();
            masks.Of(state, previous);
            seconds.Add(clock.Elapsed.TotalSeconds);
            (state, previous) = (masks.After(state, token, previous), token);
        }
        Assert.InRange(seconds.Order().ElementAt(seconds.Count / 2), 0, 0.05);
    }

    private static int[] Allowed(TokenMask mask, int vocabulary) => [.. Enumerable.Range(0, vocabulary).Where(mask.Allows)];

    private static TokenMasks Masks(Tokenizer tokenizer, TextConstraint constraint) =>
        new(constraint, new TokenVocabulary(tokenizer, tokenizer.VocabularySize));
}
