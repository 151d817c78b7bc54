using Transformer.Distributed;
using Transformer.Runs;

namespace Transformer.Tests.Data.Tasks;

// T tokens · K pairs · V vocabulary · W window

/// <summary>The geometry of multi-query associative recall, counted in generated rows.</summary>
public sealed class MqarTaskTests
{
    [Fact]
    public void Keys_come_from_the_lower_half_and_values_from_the_upper_and_both_are_different()
    {
        Assert.All(TaskRows.Of(new MqarTaskConfig { Length = 40, Pairs = 7, Vocabulary = 16 }), row =>
        {
            var pairs = row.Words.Take(14).Select(int.Parse).Chunk(2).ToArray();
            Assert.Equal([1, 2, 3, 4, 5, 6, 7], pairs.Select(pair => pair[0]).Order());
            Assert.Equal(7, pairs.Select(pair => pair[1]).Where(value => value is >= 8 and < 16).Distinct().Count());
        });
    }

    [Fact]
    public void Every_key_is_asked_once_and_at_an_even_distance_from_the_pairs()
    {
        Assert.All(TaskRows.Of(new MqarTaskConfig { Pairs = 8 }), row =>
        {
            Assert.Equal(
                row.Words.Take(16).Where((_, place) => place % 2 == 0).Order(), row.Answers.Keys.Select(place => row.Words[place]).Order());
            Assert.All(row.Answers.Keys, place => Assert.Equal(0, place % 2));
            Assert.All(row.Answers, answer => Assert.Equal(answer.Value, row.Words[Array.IndexOf(row.Words, row.Words[answer.Key]) + 1]));
        });
    }

    [Fact]
    public void Places_that_are_left_hold_zeros_or_tokens_of_the_whole_vocabulary()
    {
        static IEnumerable<int> Filling(MqarTaskConfig config) =>
            TaskRows.Of(config).SelectMany(row => row.Words.Index().Skip(8).Where(word => !row.Answers.ContainsKey(word.Index))
                .Select(word => int.Parse(word.Item)));

        Assert.All(Filling(new() { RandomFilling = false }), token => Assert.Equal(0, token));
        Assert.Equal(Enumerable.Range(0, 20), Filling(new() { Vocabulary = 20 }).Distinct().Order());
    }

    [Theory]
    [InlineData(0.01)]
    [InlineData(0.5)]
    [InlineData(1)]
    public void A_single_gap_follows_the_power_law(double power)
    {
        const int draws = 20_000, places = 7;
        var gaps = TaskRows.Of(new MqarTaskConfig { Length = 16, Pairs = 1, Vocabulary = 16, Power = power }, draws)
            .CountBy(row => (row.Answers.Keys.Single() - 2) / 2).ToDictionary();

        var weights = Enumerable.Range(1, places).Select(gap => Math.Pow(gap, power - 1)).ToArray();
        // Chi-square with 6 degrees of freedom exceeds 28 once in 10,000 seeds; this seed is fixed.
        var chiSquare = weights.Index().Sum(
            gap => Math.Pow(gaps.GetValueOrDefault(gap.Index) - draws * gap.Item / weights.Sum(), 2) / (draws * gap.Item / weights.Sum()));
        Assert.True(chiSquare < 28, $"chi-square {chiSquare}");
    }

    [Fact]
    public void The_second_gap_follows_the_law_among_the_places_that_the_first_has_left()
    {
        const int draws = 40_000, places = 6;
        var gaps = TaskRows.Of(new MqarTaskConfig { Length = 16, Pairs = 2, Vocabulary = 16 }, draws)
            .CountBy(row => (Gap(row, pair: 0), Gap(row, pair: 1))).ToDictionary();

        var weights = Enumerable.Range(1, places).Select(gap => Math.Pow(gap, 0.01 - 1)).ToArray();
        foreach (var first in Enumerable.Range(0, places))
            foreach (var second in Enumerable.Range(0, places).Where(second => second != first))
            {
                var expected = draws * weights[first] / weights.Sum() * weights[second] / (weights.Sum() - weights[first]);
                Assert.True(Math.Abs(gaps.GetValueOrDefault((first, second)) - expected) < 4.5 * Math.Sqrt(expected),
                    $"gaps {first}, {second}: {gaps.GetValueOrDefault((first, second))} times, expected {expected}");
            }

        static int Gap(TaskRows row, int pair) => (row.Answers.Keys.Single(place => row.Words[place] == row.Words[2 * pair]) - 4) / 2;
    }

    // The published geometry: the best that a sliding window of W keys can answer, d being the distance from a query to its value.
    [Theory]
    [InlineData(4, new[] { 0.331, 0.580, 0.807, 1 })]
    [InlineData(8, new[] { 0.083, 0.393, 0.760, 1 })]
    [InlineData(16, new[] { 0.001, 0.038, 0.593, 1 })]
    public void A_window_reaches_what_the_geometry_allows(int pairs, double[] published)
    {
        var distances = TaskRows.Of(new MqarTaskConfig { Length = 64, Pairs = pairs }, rows: 40_000 / pairs)
            .SelectMany(row => row.Answers.Keys.Select(place => place - (Array.IndexOf(row.Words, row.Words[place]) + 1))).ToArray();

        Assert.All(distances, distance => Assert.Equal(1, distance % 2));
        int[] windows = [8, 16, 32, 64];
        foreach (var (window, share) in windows.Zip(published))
            Assert.Equal(share, distances.Count(distance => distance <= window) / (double)distances.Length, 0.01);
    }
}
