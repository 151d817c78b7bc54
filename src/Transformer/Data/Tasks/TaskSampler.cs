namespace Transformer.Data.Tasks;

/// <summary>
/// The order in which training sees a task's rows. A finite set comes once per epoch, each time in a new order; an endless one is drawn
/// from 2^64 rows, so that repeats are unlikely. Rows that follow one another can stay together, as questions about one picture do: it is
/// then drawn and read once for all of them.
/// </summary>
internal sealed class TaskSampler : TrainingBatches
{
    private const ulong OrderStream = 3, FreshStream = 4;
    private readonly TaskDataset data;
    private readonly int batchSize, rowsAtOnce;
    private readonly long? rows;
    private readonly ulong seed;

    /// <param name="data">Makes the rows.</param>
    /// <param name="rows">How many there are; endless where null.</param>
    /// <param name="batchSize">B, the rows of a batch.</param>
    /// <param name="seed">Another seed is another order.</param>
    /// <param name="position">The number of batches drawn before.</param>
    /// <param name="rowsAtOnce">How many rows in their order are drawn together; a divisor of the rows.</param>
    public TaskSampler(TaskDataset data, long? rows, int batchSize, int seed, long position, int rowsAtOnce = 1) : base(position)
    {
        (this.data, this.rows, this.batchSize, this.rowsAtOnce) = (data, rows, batchSize, rowsAtOnce);
        this.seed = CounterRandom.Bits((ulong)(uint)seed, 0);
    }

    public override Batch At(long position) =>
        data.Rows(TaskSplit.Training, [.. Enumerable.Range(0, batchSize).Select(row => Number(position * batchSize + row))]);

    private ulong Number(long drawn)
    {
        var (group, row) = Math.DivRem(drawn, rowsAtOnce);
        return Group(group) * (ulong)rowsAtOnce + (ulong)row;
    }

    private ulong Group(long drawn)
    {
        if (rows is not { } count) return CounterRandom.Bits(CounterRandom.Bits(seed, FreshStream), (ulong)drawn) / (ulong)rowsAtOnce;
        var (epoch, index) = Math.DivRem(drawn, count / rowsAtOnce);
        var order = CounterRandom.Bits(CounterRandom.Bits(seed, OrderStream), (ulong)epoch);
        return (ulong)new Permutation(count / rowsAtOnce, order).At(index);
    }
}
