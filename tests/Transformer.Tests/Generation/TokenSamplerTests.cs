using Transformer.Configuration;
using Transformer.Distributed;
using Transformer.Generation;

namespace Transformer.Tests.Generation;

public sealed class TokenSamplerTests
{
    // Probabilities 1/2, 1/4, 1/8, 1/16, 1/16 in a mixed order of ids: 3, 0, 4, 1, 2.
    private static readonly float[] Halves = [.. new[] { 0.25, 0.0625, 0.0625, 0.5, 0.125 }.Select(p => (float)Math.Log(p))];

    [Fact]
    public void Greedy_takes_the_likeliest_and_of_equals_the_first()
    {
        Assert.Equal(3, new TokenSampler(SamplingOptions.Greedy, 5).Next([.. Halves]));
        Assert.Equal(1, new TokenSampler(SamplingOptions.Greedy, 3).Next([0, 2, 2]));
    }

    [Fact]
    public void Without_options_tokens_come_as_often_as_they_are_likely() =>
        AssertShares([0.25, 0.0625, 0.0625, 0.5, 0.125], new SamplingOptions());

    [Fact]
    public void Temperature_divides_the_logits()
    {
        var roots = new[] { 0.25, 0.0625, 0.0625, 0.5, 0.125 }.Select(Math.Sqrt).ToArray();
        AssertShares([.. roots.Select(root => root / roots.Sum())], new SamplingOptions { Temperature = 2 });
    }

    [Theory]
    [InlineData(1, new[] { 3 })]
    [InlineData(2, new[] { 0, 3 })]
    [InlineData(3, new[] { 0, 3, 4 })]
    [InlineData(4, new[] { 0, 1, 2, 3, 4 })]    // tokens 1 and 2 are equally likely
    [InlineData(9, new[] { 0, 1, 2, 3, 4 })]
    public void Top_k_keeps_the_k_likeliest(int k, int[] kept) => Assert.Equal(kept, Drawn(new SamplingOptions { TopK = k }));

    [Theory]
    [InlineData(1e-9, new[] { 3 })]
    [InlineData(0.49, new[] { 3 })]
    [InlineData(0.51, new[] { 0, 3 })]
    [InlineData(0.74, new[] { 0, 3 })]
    [InlineData(0.76, new[] { 0, 3, 4 })]
    [InlineData(0.90, new[] { 0, 1, 3, 4 })]
    [InlineData(0.95, new[] { 0, 1, 2, 3, 4 })]
    [InlineData(1.00, new[] { 0, 1, 2, 3, 4 })]
    public void Top_p_keeps_the_fewest_likeliest_with_that_probability(double p, int[] kept) =>
        Assert.Equal(kept, Drawn(new SamplingOptions { TopP = p }));

    [Theory]
    [InlineData(0.0, new[] { 0, 1, 2, 3, 4 })]
    [InlineData(0.12, new[] { 0, 1, 2, 3, 4 })]
    [InlineData(0.13, new[] { 0, 3, 4 })]
    [InlineData(0.26, new[] { 0, 3 })]
    [InlineData(1.0, new[] { 3 })]
    public void Min_p_keeps_what_is_at_least_that_share_of_the_likeliest(double p, int[] kept) =>
        Assert.Equal(kept, Drawn(new SamplingOptions { MinP = p }));

    [Fact]
    public void Top_p_counts_only_what_top_k_left_over()
    {
        // Of 1/2 and 1/4 the first has two thirds.
        Assert.Equal([3], Drawn(new SamplingOptions { TopK = 2, TopP = 0.66 }));
        Assert.Equal([0, 3], Drawn(new SamplingOptions { TopK = 2, TopP = 0.67 }));
    }

    [Fact]
    public void Temperature_comes_before_top_p()
    {
        // Squared, 1/2 weighs 0.73 of all.
        Assert.Equal([0, 3], Drawn(new SamplingOptions { TopP = 0.7 }));
        Assert.Equal([3], Drawn(new SamplingOptions { TopP = 0.7, Temperature = 0.5 }));
    }

    [Fact]
    public void Repetition_penalty_divides_positive_and_multiplies_negative_logits_of_what_occurred_once()
    {
        var sampler = new TokenSampler(SamplingOptions.Greedy with { RepetitionPenalty = 2 }, 4);
        foreach (var token in (int[])[0, 1, 1]) sampler.Observe(token);
        float[] logits = [3, -1, 1.4f, -1.5f];

        Assert.Equal(0, sampler.Next(logits));
        Assert.Equal([1.5f, -2f, 1.4f, -1.5f], logits);
    }

    [Fact]
    public void A_token_that_was_chosen_is_penalised_next_time()
    {
        var sampler = new TokenSampler(SamplingOptions.Greedy with { RepetitionPenalty = 2 }, 2);

        Assert.Equal([0, 1, 0], Enumerable.Range(0, 3).Select(_ => sampler.Next([3, 2])));
    }

    [Fact]
    public void Forbidden_tokens_are_never_drawn() =>
        Assert.Equal([1], Drawn(new SamplingOptions { Temperature = 100 }, [float.NegativeInfinity, -5, float.NegativeInfinity]));

    // Rounded up, q covers p, so that nothing is left of p - q; then a guess that is possible stays, else the likeliest comes.
    [Theory]
    [InlineData(0, 2)]    // forbidden
    [InlineData(1, 1)]
    [InlineData(2, 2)]
    public void Where_nothing_is_left_of_the_residual_no_forbidden_token_is_drawn(int guess, int expected)
    {
        var sampler = new TokenSampler(new SamplingOptions(), 3);
        for (var draw = 0; draw < 200; draw++)
            Assert.Equal(expected, sampler.Next([float.NegativeInfinity, 0, MathF.Log(2)], new DraftToken(guess, [0.01f, 0.5f, 0.9f])));
    }

    [Theory]
    [InlineData(float.NaN, 1f)]
    [InlineData(1f, float.NaN)]
    [InlineData(float.PositiveInfinity, 0f)]
    [InlineData(float.NegativeInfinity, float.NegativeInfinity)]
    public void Logits_that_are_no_numbers_are_refused(float first, float second) =>
        Assert.Throws<InputException>(() => new TokenSampler(new SamplingOptions(), 2).Next([first, second]));

    [Fact]
    public void A_seed_means_the_same_numbers_everywhere()
    {
        // Of 1000 equals number n is drawn where the random number lies in n/1000 .. (n + 1)/1000; the numbers were computed apart from
        // this code.
        var sampler = new TokenSampler(new SamplingOptions { Seed = 1337 }, 1000, row: 2);
        var drawn = Enumerable.Range(0, 6).Select(_ => sampler.Next(new float[1000])).ToArray();

        Assert.Equal([612, 949, 971, 900, 486, 831], drawn);
    }

    [Fact]
    public void Choosing_allocates_nothing()
    {
        var options = new SamplingOptions { Temperature = 0.8, TopK = 50, TopP = 0.9, MinP = 0.01, RepetitionPenalty = 1.1 };
        var sampler = new TokenSampler(options, 1000);
        var logits = Enumerable.Range(0, 1000).Select(id => MathF.Sin(id * id) * 5).ToArray();
        for (var warm = 0; warm < 100; warm++) sampler.Next(logits);

        // The runtime may allocate once when it compiles a method anew; the sampler would always.
        Assert.Equal(0, Enumerable.Range(0, 5).Select(_ => Allocated()).Min());

        long Allocated()
        {
            var before = GC.GetAllocatedBytesForCurrentThread();
            for (var n = 0; n < 100; n++) sampler.Next(logits);
            return GC.GetAllocatedBytesForCurrentThread() - before;
        }
    }

    [Fact]
    public void Every_option_is_checked_and_all_errors_are_told_at_once()
    {
        var wrong =
            new SamplingOptions { Temperature = -1, TopK = 0, TopP = 0, MinP = 2, RepetitionPenalty = 0, MaxTokens = 0, Stop = [""] };

        var message = Assert.Throws<InputException>(() => new TokenSampler(wrong, 2)).Message;

        Assert.All((string[])[
            "temperature: found -1", "top_k: found 0", "top_p: found 0", "min_p: found 2", "repetition_penalty: found 0",
            "max_tokens: found 0", "stop: "],
            problem => Assert.Contains(problem, message));
        Assert.Throws<InputException>(() => new TokenSampler(new SamplingOptions { Temperature = double.NaN }, 2));
    }

    private static int[] Drawn(SamplingOptions options, float[]? logits = null)
    {
        var sampler = new TokenSampler(options, (logits ?? Halves).Length);
        return [.. Enumerable.Range(0, 2000).Select(_ => sampler.Next([.. logits ?? Halves])).Distinct().Order()];
    }

    // Five standard deviations of the share of a token among 20,000.
    private static void AssertShares(double[] expected, SamplingOptions options)
    {
        const int Draws = 20_000;
        var sampler = new TokenSampler(options, expected.Length);
        var counts = new int[expected.Length];
        for (var n = 0; n < Draws; n++) counts[sampler.Next([.. Halves])]++;
        for (var token = 0; token < expected.Length; token++)
            Assert.Equal(
                expected[token], (double)counts[token] / Draws, tolerance: 5 * Math.Sqrt(expected[token] * (1 - expected[token]) / Draws));
    }
}
