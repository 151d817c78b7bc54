namespace Transformer.Data;

/// <summary>
/// Counter-based random numbers without a state: number i of a stream is a function of (key, i), so that any of them can be drawn again.
/// </summary>
internal static class CounterRandom
{
    /// <summary>
    /// 64 random bits: the key plus the counter times the golden ratio, mixed by SplitMix64's finalizer (Steele et al. 2014).
    /// </summary>
    public static ulong Bits(ulong key, ulong counter)
    {
        var z = key + (counter + 1) * 0x9E3779B97F4A7C15;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }

    /// <summary>A number from 0 to <paramref name="bound"/> - 1; the bias is less than bound / 2^64.</summary>
    public static long Below(long bound, ulong key, ulong counter) => (long)Math.BigMul(Bits(key, counter), (ulong)bound, out _);
}
