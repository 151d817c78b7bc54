namespace Transformer.Data.Tasks;

/// <summary>
/// The order in which training sees a task's rows. A finite set comes once per epoch, each time in a new order; an endless one is drawn
/// from 2^64 rows, so that repeats are unlikely.
/// </summary>
internal sealed class TaskSampler : TrainingBatches
{
    private const ulong OrderStream = 3, FreshStream = 4;
    private readonly TaskDataset data;
    private readonly int batchSize;
    private readonly long? rows;
    private readonly ulong seed;

    /// <param name="data">Makes the rows.</param>
    /// <param name="rows">How many there are; endless where null.</param>
    /// <param name="batchSize">B, the rows of a batch.</param>
    /// <param name="seed">Another seed is another order.</param>
    /// <param name="position">The number of batches drawn before.</param>
    public TaskSampler(TaskDataset data, long? rows, int batchSize, int seed, long position) : base(position)
    {
        (this.data, this.rows, this.batchSize) = (data, rows, batchSize);
        this.seed = CounterRandom.Bits((ulong)(uint)seed, 0);
    }

    public override Batch At(long position) =>
        data.Rows(TaskSplit.Training, [.. Enumerable.Range(0, batchSize).Select(row => Number(position * batchSize + row))]);

    private ulong Number(long drawn)
    {
        if (rows is not { } count) return CounterRandom.Bits(CounterRandom.Bits(seed, FreshStream), (ulong)drawn);
        var (epoch, index) = Math.DivRem(drawn, count);
        var order = CounterRandom.Bits(CounterRandom.Bits(seed, OrderStream), (ulong)epoch);
        return (ulong)new Permutation(count, order).At(index);
    }
}
