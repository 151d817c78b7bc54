using System.Diagnostics;
using Transformer.Configuration;
using Transformer.Distributed;
using Transformer.Generation;

namespace Transformer.Benchmarks;

/// <summary>
/// What speculative decoding gains for a model and a text: the same prompt is continued without and with draft tokens in alternating
/// rounds, each round with a seed of its own, and each gives a ratio of speeds. Reading the prompt counts.
/// </summary>
/// <param name="TokensPerSecond">The speed with draft tokens; the median of the rounds, as are the next two.</param>
/// <param name="PlainTokensPerSecond">The speed without.</param>
/// <param name="SpeedUp">The ratio of the two.</param>
/// <param name="SpeedUpMinimum">The least ratio of a round.</param>
/// <param name="SpeedUpMaximum">The greatest ratio of a round.</param>
/// <param name="AcceptanceRate">The share of all rounds' draft tokens that were accepted.</param>
/// <param name="TokensPerPass">The tokens per forward pass of the model, over all rounds.</param>
/// <param name="DraftTokens">The most draft tokens per pass.</param>
/// <param name="Rounds">How many ratios there are.</param>
/// <param name="PromptTokens">The length of the prompt.</param>
public sealed record SpeculationBenchmark(
    double TokensPerSecond, double PlainTokensPerSecond, double SpeedUp, double SpeedUpMinimum, double SpeedUpMaximum,
    double AcceptanceRate, double TokensPerPass, int DraftTokens, int Rounds, int PromptTokens)
{
    /// <summary>Runs the benchmark.</summary>
    /// <param name="plain">Generates without draft tokens.</param>
    /// <param name="drafting">The same model, with draft tokens.</param>
    /// <param name="prompt">What is continued.</param>
    /// <param name="options">How tokens are chosen; the seed is that of the first round.</param>
    /// <param name="rounds">How often.</param>
    /// <param name="cancellation">Ends the measurement after the current token.</param>
    /// <exception cref="InputException">An option is wrong, the prompt cannot be continued, or this model does not support speculative
    /// decoding.</exception>
    public static SpeculationBenchmark Run(
        TextGenerator plain, TextGenerator drafting, int[] prompt, SamplingOptions options, int rounds,
        CancellationToken cancellation = default)
    {
        // Warm-up: the first rounds run code that is not yet fully optimised.
        for (var warm = 0; warm < 2; warm++)
        {
            Write(plain, seed: -1);
            Write(drafting, seed: -1);
        }
        var (plainPaces, speeds, counts, tokens) = (new double[rounds], new double[rounds], new SpeculationCount[rounds], 0);
        for (var round = 0; round < rounds; round++)
        {
            (plainPaces[round], _) = Write(plain, round);
            (speeds[round], var text) = Write(drafting, round);
            counts[round] = text.Speculation
                ?? throw new InputException(
                    "speculative decoding: a model with a window, a recurrence or rotary angles that depend on the length cannot drop " +
                        "rejected draft tokens.");
            tokens += text.Tokens.Count;
        }
        var ratio = Spread.Of(speeds.Zip(plainPaces, (with, without) => with / without));
        var all = new SpeculationCount(
            counts.Sum(count => count.Passes), counts.Sum(count => count.Guessed), counts.Sum(count => count.Accepted));
        return new(
            Spread.Of(speeds).Median, Spread.Of(plainPaces).Median, ratio.Median, ratio.Minimum, ratio.Maximum,
            all.AcceptanceRate, (double)tokens / all.Passes, drafting.DraftTokens, rounds, prompt.Length);

        (double Pace, GeneratedText Text) Write(TextGenerator generator, int seed)
        {
            var watch = Stopwatch.StartNew();
            var text = generator.Generate([prompt], options with { Seed = options.Seed + seed }, cancellation: cancellation)[0];
            cancellation.ThrowIfCancellationRequested();
            return (text.Tokens.Count / watch.Elapsed.TotalSeconds, text);
        }
    }
}
