using Transformer.Distributed;
using Transformer.Inference.Cpu;
using Transformer.Numerics;

namespace Transformer.Tests.Inference.Cpu;

// S keys · D head width

public sealed unsafe class AttentionKernelsTests
{
    private const int Places = 40, Row = 64, Stride = 80, Margin = 8;

    // Whole vectors and what is left over; keys that begin and end within those that lie together.
    public static TheoryData<int, int, int> Spans =>
        new(from width in (int[])[1, 5, 16, 24, 33, 64]
            from first in (int[])[0, 3, 8]
            from count in (int[])[1, 7, 8, 30]
            select (width,
            first, count));

    [Theory]
    [MemberData(nameof(Spans))]
    public void Scores_are_scaled_dot_products_and_the_same_bits_for_four_queries(int width, int first, int count)
    {
        using var state = Cache(width, out var keys, out _);
        using var queries = Numbers(4 * Stride, 3);
        using var alone = new NativeArray<float>(Row);
        using var together = new NativeArray<float>(4 * Row);
        AttentionMath.Scores(queries.Pointer, Stride, 0.5f, state.Keys(0, 0), width, first, count, together.Pointer + Margin, Row);
        for (var query = 0; query < 4; query++)
        {
            AttentionMath.Scores(queries.Pointer + query * Stride, 0.5f, state.Keys(0, 0), width, first, count, alone.Pointer + Margin);
            Assert.Equal(alone.Span(Margin, count).ToArray(), together.Span(query * Row + Margin, count).ToArray());
            for (var s = 0; s < count; s++)
            {
                var expected = 0.5 * Enumerable.Range(0, width).Sum(d => (double)queries.Pointer[query * Stride + d] * keys[first + s][d]);
                Near.Equal(expected, alone.Pointer[Margin + s], 1e-5, $"query {query}, key {first + s}");
            }
        }
    }

    [Theory]
    [MemberData(nameof(Spans))]
    public void Means_are_sums_of_weighted_values_and_the_same_bits_for_four_queries(int width, int first, int count)
    {
        using var state = Cache(width, out _, out var values);
        using var weights = Numbers(4 * Row, 4);
        using var alone = new NativeArray<float>(Stride);
        using var together = new NativeArray<float>(4 * Stride);
        together.Span(0, 4 * Stride).Fill(1);
        AttentionMath.AddValues(weights.Pointer, Row, state.Values(0, 0) + first * width, count, together.Pointer, Stride, width);
        for (var query = 0; query < 4; query++)
        {
            alone.Span(0, Stride).Fill(1);
            AttentionMath.AddValues(weights.Pointer + query * Row, state.Values(0, 0) + first * width, count, alone.Pointer, width);
            Assert.Equal(alone.Span(0, Stride).ToArray(), together.Span(query * Stride, Stride).ToArray());
            for (var d = 0; d < width; d++)
            {
                var expected = 1 + Enumerable.Range(0, count).Sum(s => (double)weights.Pointer[query * Row + s] * values[first + s][d]);
                Near.Equal(expected, alone.Pointer[d], 1e-5, $"query {query}, component {d}");
            }
        }
    }

    [Fact]
    public void Exponentials_are_relative_to_the_greatest()
    {
        foreach (var count in (int[])[1, 8, 21])
        {
            using var scores = Numbers(count, 5);
            var before = scores.Span(0, count).ToArray();
            var sum = AttentionMath.Exponentials(scores.Pointer, count);
            for (var s = 0; s < count; s++)
                Near.Equal(Math.Exp(before[s] - before.Max()), scores.Pointer[s], 1e-6, $"score {s} of {count}");
            Near.Equal(scores.Span(0, count).ToArray().Sum(weight => (double)weight), sum, 1e-5, $"sum of {count}");
        }
    }

    private static KeyValueState Cache(int width, out float[][] keys, out float[][] values)
    {
        var state = new KeyValueState(1, 1, Places, width, isWhole: true, keepsUnrotated: false);
        using var numbers = Numbers(2 * Places * width, width);
        (keys, values) = (new float[Places][], new float[Places][]);
        for (var s = 0; s < Places; s++)
        {
            var (key, value) = (2 * s * width, (2 * s + 1) * width);
            state.Keep(0, 0, s, numbers.Pointer + key, numbers.Pointer + value);
            (keys[s], values[s]) = (numbers.Span(key, width).ToArray(), numbers.Span(value, width).ToArray());
        }
        return state;
    }

    private static NativeArray<float> Numbers(int count, int seed)
    {
        var numbers = new NativeArray<float>(count);
        var random = new Random(seed);
        for (var i = 0; i < count; i++) numbers.Pointer[i] = (float)(random.NextDouble() - 0.5);
        return numbers;
    }
}
