namespace Transformer.Data.Tasks;

/// <summary>The random numbers of one row, drawn one after the other from the row's key.</summary>
internal sealed class RowRandom(ulong key)
{
    private ulong drawn;

    /// <summary>A number from 0 to <paramref name="bound"/> - 1.</summary>
    public int Below(int bound) => (int)CounterRandom.Below(bound, key, drawn++);

    /// <summary>A number between 0 and 1, neither of them included.</summary>
    public double Uniform() => ((CounterRandom.Bits(key, drawn++) >> 12) + 0.5) / (1UL << 52);

    /// <summary>Different numbers from 0 to <paramref name="bound"/> - 1.</summary>
    /// <param name="count">How many; at most the bound.</param>
    /// <param name="bound">One more than the greatest.</param>
    public int[] Different(int count, int bound)
    {
        var order = new Permutation(bound, CounterRandom.Bits(key, drawn++));
        return [.. Enumerable.Range(0, count).Select(index => (int)order.At(index))];
    }
}
