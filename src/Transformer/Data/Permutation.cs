using System.Numerics;

namespace Transformer.Data;

/// <summary>
/// A random permutation of 0 to <paramref name="count"/> - 1 in constant memory: a Feistel network over the next even number of bits (Luby
/// and Rackoff 1988), applied until the result is in the range (cycle walking, Black and Rogaway 2002).
/// </summary>
internal readonly struct Permutation(long count, ulong key)
{
    private const int Rounds = 6;
    private readonly int halfBits = (BitOperations.Log2((ulong)Math.Max(count - 1, 1)) + 2) / 2;

    /// <summary>The number at index <paramref name="index"/> of the permutation.</summary>
    public long At(long index)
    {
        var value = (ulong)index;
        do
        {
            value = Network(value);
        }
        while (value >= (ulong)count);
        return (long)value;
    }

    private ulong Network(ulong value)
    {
        var mask = (1UL << halfBits) - 1;
        var (left, right) = (value >> halfBits, value & mask);
        for (var round = 0; round < Rounds; round++)
        {
            (left, right) = (right, left ^ (CounterRandom.Bits(key ^ right, (ulong)round) & mask));
        }
        return left << halfBits | right;
    }
}
