using Transformer.Data;
using Transformer.Distributed;

namespace Transformer.Tests.Data;

public sealed class ValidationBatchesTests
{
    [Theory]
    [InlineData(2, 8, 3)]
    [InlineData(9, 8, 3)]
    [InlineData(10, 8, 3)]
    [InlineData(1000, 8, 3)]
    [InlineData(1001, 8, 5)]
    [InlineData(1001, 1, 7)]
    public void A_full_pass_predicts_every_token_but_the_first_once(int length, int contextLength, int batchSize)
    {
        var batches = ValidationBatches.Full(Count(length), batchSize, contextLength).ToArray();

        var predicted = batches.SelectMany(batch => batch.Inputs.Zip(batch.Targets)).Where(pair => pair.Second != Batch.IgnoredTarget)
            .ToArray();
        Assert.Equal(Enumerable.Range(1, length - 1).Select(id => (long)id), predicted.Select(pair => pair.Second));
        Assert.All(predicted, pair => Assert.Equal(pair.First + 1, pair.Second));
        Assert.Equal(length - 1, batches.Sum(batch => batch.Predictions));
        Assert.All(batches, batch => Assert.InRange(batch.Rows, 1, batchSize));
    }

    [Fact]
    public void An_estimate_is_spread_from_the_first_to_the_last_window()
    {
        var batches = ValidationBatches.Estimate(Count(10_001), batchSize: 4, contextLength: 10, batches: 3).ToArray();

        var starts = batches.SelectMany(batch => batch.Inputs.Chunk(10)).Select(row => row[0]).ToArray();
        Assert.Equal((12, 0, 9990), (starts.Length, starts[0], starts[^1]));
        Assert.All(starts.Zip(starts.Skip(1)), pair => Assert.InRange(pair.Second - pair.First, 907, 909));
        Assert.Equal(120, batches.Sum(batch => batch.Predictions));
    }

    [Fact]
    public void An_estimate_of_a_short_text_is_the_full_pass() =>
        Assert.Equal(
            99, ValidationBatches.Estimate(Count(100), batchSize: 4, contextLength: 10, batches: 50).Sum(batch => batch.Predictions));

    [Fact]
    public void Nothing_to_predict_gives_no_batch() => Assert.Empty(ValidationBatches.Full(Count(1), batchSize: 4, contextLength: 10));

    private static TokenArray Count(int length) => new([.. Enumerable.Range(0, length)]);
}
