using Transformer.Data;

namespace Transformer.Benchmarks;

/// <summary>Random tokens, for measurements of speed.</summary>
internal static class RandomTokens
{
    /// <summary>Tokens drawn evenly from the vocabulary; the same ones for the same seed.</summary>
    public static TokenArray Of(int vocabularySize, int count, int seed)
    {
        var random = new Random(seed);
        return new([.. Enumerable.Range(0, count).Select(_ => random.Next(vocabularySize))]);
    }
}
