using System.Diagnostics;
using Transformer.Configuration;
using Transformer.Distributed;
using Transformer.Generation;

namespace Transformer.Benchmarks;

/// <summary>
/// What speculative decoding is worth for a model and a text: the same prompt is continued without and with it in turn, each round with a
/// seed of its own, and gives a ratio of speeds. Reading the prompt counts.
/// </summary>
/// <param name="TokensPerSecond">The pace with draft tokens; the median of the rounds, as are the next two.</param>
/// <param name="PlainTokensPerSecond">The pace without.</param>
/// <param name="SpeedUp">The ratio of the two.</param>
/// <param name="SpeedUpMinimum">The least ratio of a round.</param>
/// <param name="SpeedUpMaximum">The greatest ratio of a round.</param>
/// <param name="AcceptanceRate">The share of all rounds' draft tokens that were accepted.</param>
/// <param name="TokensPerPass">The tokens that a pass of the model gave, over all rounds.</param>
/// <param name="DraftTokens">The most draft tokens of a pass.</param>
/// <param name="Rounds">How many ratios there are.</param>
/// <param name="PromptTokens">The length of the prompt.</param>
public sealed record SpeculationBenchmark(
    double TokensPerSecond, double PlainTokensPerSecond, double SpeedUp, double SpeedUpMinimum, double SpeedUpMaximum,
    double AcceptanceRate, double TokensPerPass, int DraftTokens, int Rounds, int PromptTokens)
{
    /// <summary>Measures.</summary>
    /// <param name="plain">What generates without draft tokens.</param>
    /// <param name="speculative">The same model, with draft tokens.</param>
    /// <param name="prompt">What is continued.</param>
    /// <param name="options">How tokens are chosen; the seed is that of the first round.</param>
    /// <param name="rounds">How often.</param>
    /// <param name="cancellation">Ends the measurement after the current token.</param>
    /// <exception cref="InputException">An option is wrong, the prompt cannot be continued, or speculative decoding is nothing for this
    /// model.</exception>
    public static SpeculationBenchmark Run(
        TextGenerator plain, TextGenerator speculative, int[] prompt, SamplingOptions options, int rounds,
        CancellationToken cancellation = default)
    {
        // The first texts run code that is not yet compiled to its best.
        for (var warm = 0; warm < 2; warm++)
        {
            Generate(plain, seed: -1);
            Generate(speculative, seed: -1);
        }
        var (plainSpeeds, speeds, counts, tokens) = (new double[rounds], new double[rounds], new SpeculationCount[rounds], 0);
        for (var round = 0; round < rounds; round++)
        {
            (plainSpeeds[round], _) = Generate(plain, round);
            (speeds[round], var text) = Generate(speculative, round);
            counts[round] = text.Speculation
                ?? throw new InputException(
                    "draft_tokens: where angles follow the length, a pass over several tokens is not what single steps are.");
            tokens += text.Tokens.Count;
        }
        var ratio = Spread.Of(speeds.Zip(plainSpeeds, (with, without) => with / without));
        var all = new SpeculationCount(
            counts.Sum(count => count.Passes), counts.Sum(count => count.Drafted), counts.Sum(count => count.Accepted));
        return new(
            Spread.Of(speeds).Median, Spread.Of(plainSpeeds).Median, ratio.Median, ratio.Minimum, ratio.Maximum,
            all.AcceptanceRate, (double)tokens / all.Passes, speculative.DraftTokens, rounds, prompt.Length);

        (double Speed, GeneratedText Text) Generate(TextGenerator generator, int seed)
        {
            var watch = Stopwatch.StartNew();
            var text = generator.Generate([prompt], options with { Seed = options.Seed + seed }, cancellation: cancellation)[0];
            cancellation.ThrowIfCancellationRequested();
            return (text.Tokens.Count / watch.Elapsed.TotalSeconds, text);
        }
    }
}
