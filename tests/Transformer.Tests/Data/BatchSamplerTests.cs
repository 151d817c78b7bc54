using Transformer.Configuration;
using Transformer.Data;
using Transformer.Distributed;
using Transformer.Runs;

namespace Transformer.Tests.Data;

public sealed class BatchSamplerTests
{
    public static TheoryData<Sampling> Samplings => [Sampling.Shuffled, Sampling.Random];

    [Theory, MemberData(nameof(Samplings))]
    public void A_run_that_resumes_anywhere_sees_the_batches_of_an_uninterrupted_one(Sampling sampling)
    {
        var tokens = Count(1000);
        using var whole = new BatchSampler(tokens, batchSize: 3, contextLength: 16, seed: 7, sampling);
        var batches = Enumerable.Range(0, 60).Select(_ => whole.Next()).ToArray();

        for (var position = 0; position < batches.Length; position++)
        {
            using var resumed = new BatchSampler(tokens, batchSize: 3, contextLength: 16, seed: 7, sampling, position);
            Assert.Equal(batches[position].Inputs, resumed.Next().Inputs);
            Assert.Equal(position + 1, resumed.Position);
        }
    }

    [Theory, MemberData(nameof(Samplings))]
    public void Targets_are_the_tokens_after_the_inputs(Sampling sampling)
    {
        using var sampler = new BatchSampler(Count(100), batchSize: 4, contextLength: 8, seed: 1, sampling);
        var batch = sampler.Next();

        Assert.Equal((4, 8, 32, 32), (batch.Rows, batch.Columns, batch.Inputs.Length, batch.Predictions));
        Assert.All(batch.Inputs.Chunk(8), row => Assert.Equal(Enumerable.Range((int)row[0], 8).Select(id => (long)id), row));
        Assert.Equal(batch.Inputs.Select(id => id + 1), batch.Targets);
    }

    [Theory]
    [InlineData(9, 8)]
    [InlineData(17, 8)]
    [InlineData(1000, 16)]
    [InlineData(1007, 16)]
    [InlineData(64, 1)]
    public void Every_window_comes_once_an_epoch_and_the_order_and_phase_change(int length, int contextLength)
    {
        using var sampler = new BatchSampler(Count(length), batchSize: 1, contextLength, seed: 3, Sampling.Shuffled);
        var epochs = Enumerable.Range(0, 20)
            .Select(_ => Enumerable.Range(0, (int)sampler.WindowsPerEpoch).Select(_ => (int)sampler.Next().Inputs[0]).ToArray()).ToArray();

        foreach (var starts in epochs)
        {
            var phase = starts.Min();
            Assert.InRange(phase, 0, contextLength - 1);
            Assert.Equal(Enumerable.Range(0, starts.Length).Select(i => phase + i * contextLength), starts.Order());
        }
        if (length >= 64)
            Assert.True(epochs.Select(starts => string.Join(' ', starts)).Distinct().Count() > 15, "epochs repeat their order");
        if (length >= 1000) Assert.True(epochs.Select(starts => starts.Min()).Distinct().Count() > 8, "phases repeat");
    }

    [Fact]
    public void A_batch_that_an_epoch_leaves_incomplete_is_filled_from_the_next()
    {
        var tokens = Count(100);
        using var single = new BatchSampler(tokens, batchSize: 1, contextLength: 10, seed: 5, Sampling.Shuffled);
        using var four = new BatchSampler(tokens, batchSize: 4, contextLength: 10, seed: 5, Sampling.Shuffled);

        Assert.NotEqual(0, single.WindowsPerEpoch % 4);
        Assert.Equal(
            Enumerable.Range(0, 40).SelectMany(_ => single.Next().Inputs), Enumerable.Range(0, 10).SelectMany(_ => four.Next().Inputs));
    }

    [Fact]
    public void Random_windows_start_everywhere_equally_often()
    {
        const int starts = 20, draws = 20_000;
        using var sampler = new BatchSampler(Count(starts + 5), batchSize: draws, contextLength: 5, seed: 11, Sampling.Random);

        var counts = sampler.Next().Inputs.Chunk(5).CountBy(row => row[0]).ToDictionary();

        // Chi-square with 19 degrees of freedom exceeds 50 once in 10,000 seeds; this seed is fixed.
        var chiSquare = Enumerable.Range(0, starts)
            .Sum(start => Math.Pow(counts.GetValueOrDefault(start) - draws / starts, 2) / (draws / starts));
        Assert.True(chiSquare < 50, $"chi-square {chiSquare}");
    }

    [Fact]
    public void Another_seed_is_another_order()
    {
        using var one = new BatchSampler(Count(1000), batchSize: 8, contextLength: 8, seed: 1, Sampling.Shuffled);
        using var two = new BatchSampler(Count(1000), batchSize: 8, contextLength: 8, seed: 2, Sampling.Shuffled);

        Assert.NotEqual(one.Next().Inputs, two.Next().Inputs);
    }

    [Fact]
    public void Too_few_tokens_for_a_window_are_refused() =>
        Assert.Contains("8 tokens", Assert.Throws<InputException>(() => new BatchSampler(Count(8), 1, 8, 0, Sampling.Random)).Message);

    [Fact]
    public void A_permutation_is_a_bijection_of_any_size()
    {
        foreach (var count in Enumerable.Range(1, 300).Append(4095).Append(4096).Append(4097).Append(100_000))
        {
            var permutation = new Permutation(count, key: (ulong)count * 31);
            Assert.Equal(
                count, Enumerable.Range(0, count).Select(i => permutation.At(i)).Where(at => at >= 0 && at < count).Distinct().Count());
        }
    }

    [Fact]
    public void All_orders_of_four_are_about_equally_frequent()
    {
        const int draws = 24_000;
        var orders = Enumerable.Range(0, draws)
            .Select(seed => new Permutation(4, CounterRandom.Bits(1, (ulong)seed)))
            .CountBy(order => string.Concat(Enumerable.Range(0, 4).Select(i => order.At(i)))).ToDictionary();

        Assert.Equal(24, orders.Count);
        Assert.All(orders, order => Assert.InRange(order.Value, 800, 1200));
    }

    private static TokenArray Count(int length) => new([.. Enumerable.Range(0, length)]);
}
