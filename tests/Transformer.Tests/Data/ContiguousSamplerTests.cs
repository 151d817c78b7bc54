using Transformer.Configuration;
using Transformer.Data;

namespace Transformer.Tests.Data;

/// <summary>Streams of text: every row in order, documents apart.</summary>
public sealed class ContiguousSamplerTests
{
    private static TokenArray Counting(int tokens) => new([.. Enumerable.Range(0, tokens)]);

    [Fact]
    public void Each_row_reads_a_part_of_the_text_in_order_and_begins_it_anew_at_its_end()
    {
        using var tokens = Counting(61);                                           // 15 segments of four: five a row
        using var sampler = new ContiguousSampler(new TextSegments(tokens, 4, boundary: null), rows: 3, columns: 2);
        var batches = Enumerable.Range(0, 4).Select(_ => sampler.Next()).ToList();
        for (var row = 0; row < 3; row++)
        {
            long[] read = [.. batches.Take(2).SelectMany(batch => batch.Inputs[(row * 8)..(row * 8 + 8)])];
            Assert.Equal(Enumerable.Range(row * 20, 16).Select(token => (long)token), read);
        }
        Assert.Equal(batches[0].Inputs, batches[2].Inputs);
        Assert.Equal(batches[0].Inputs.Select(token => token + 1), batches[0].Targets);
        Assert.Equal([true, false, true, false, true, false], batches[0].Starts!);
        Assert.DoesNotContain(true, batches[1].Starts!);
        Assert.Equal(batches[0].Starts, batches[2].Starts);
    }

    [Fact]
    public void Documents_end_segments_and_the_next_begins_with_the_mark_and_without_memory()
    {
        // 0 is the mark: documents of 6, 3 and 5 tokens
        using var tokens = new TokenArray([1, 2, 3, 4, 5, 6, 0, 7, 8, 9, 0, 10, 11, 12, 13, 14]);
        var segments = new TextSegments(tokens, 4, boundary: 0);
        var read = Enumerable.Range(0, (int)segments.Count).Select(segment =>
        {
            var (inputs, targets) = (new long[4], new long[4]);
            Array.Fill(targets, Batch.IgnoredTarget);
            var starts = segments.Read(segment, inputs, targets);
            var words = inputs.Zip(targets).Where(pair => pair.Second >= 0).Select(pair => pair.First);
            return $"{(starts ? "new " : "")}{string.Join(' ', words)} > {string.Join(' ', targets.Where(target => target >= 0))}";
        });
        Assert.Equal(
        [
            "new 1 2 3 4 > 2 3 4 5", "5 6 > 6 0", "new 0 7 8 9 > 7 8 9 0", "new 0 10 11 12 > 10 11 12 13", "13 > 14",
        ], read);
    }

    [Fact]
    public void A_resumed_sampler_goes_on_where_the_first_one_would()
    {
        using var tokens = Counting(200);
        var segments = new TextSegments(tokens, 4, boundary: null);
        using var whole = new ContiguousSampler(segments, rows: 2, columns: 3);
        for (var i = 0; i < 5; i++) whole.Next();
        using var resumed = new ContiguousSampler(segments, rows: 2, columns: 3, position: 5);
        Assert.Equal(whole.Next().Inputs, resumed.Next().Inputs);
    }

    [Fact]
    public void Rows_without_a_part_of_the_text_are_refused()
    {
        using var tokens = Counting(20);
        Assert.StartsWith(
            "data.sampling: contiguous gives each of 3 rows a part of the text, but its 5 segments of 4 tokens are fewer than 6",
            Assert.Throws<InputException>(() => new ContiguousSampler(new TextSegments(tokens, 4, null), 3, 2)).Message,
            StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    [InlineData(8)]
    public void Validation_streams_predict_each_token_of_each_segment_once(int rows)
    {
        using var tokens = Counting(55);
        var segments = new TextSegments(tokens, 4, boundary: null);
        var batches = ValidationBatches.Streams(segments, rows).ToList();
        Assert.Equal(
            Enumerable.Range(1, 54).Select(token => (long)token),
            batches.SelectMany(batch => batch.Targets.Where(target => target != Batch.IgnoredTarget)).Order());
        Assert.All(batches[0].Starts!, Assert.True);
        Assert.All(batches[1..], batch => Assert.DoesNotContain(true, batch.Starts!));
    }
}
