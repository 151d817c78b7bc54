namespace Transformer.Generation;

/// <summary>
/// Random numbers by counting and mixing (Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators"): a seed gives the
/// same numbers on every system and in every version.
/// </summary>
internal struct SplitMix64
{
    private const ulong Golden = 0x9E3779B97F4A7C15;    // 2^64 divided by the golden ratio, odd
    private ulong state;

    /// <param name="seed">Which family of streams.</param>
    /// <param name="stream">Which of the family.</param>
    public SplitMix64(long seed, int stream) => state = Mix(Mix((ulong)seed) + (ulong)stream * Golden);

    /// <summary>Where in its stream this is.</summary>
    public ulong State
    {
        readonly get => state;
        set => state = value;
    }

    /// <summary>The next number, uniform in [0, 1).</summary>
    public double NextDouble() => (Mix(state += Golden) >> 11) * (1.0 / (1UL << 53));

    private static ulong Mix(ulong z)
    {
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }
}
