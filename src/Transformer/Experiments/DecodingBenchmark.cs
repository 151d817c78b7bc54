using System.Diagnostics;
using Transformer.Configuration;
using Transformer.Generation;
using Transformer.Model;
using Transformer.Native;
using static TorchSharp.torch;

namespace Transformer.Experiments;

/// <summary>
/// How fast a model writes one text here, beside what the memory can do at best: each token reads all weights once. Generations and passes
/// over the memory are measured in turns, and each turn gives a ratio of its own.
/// </summary>
/// <param name="TokensPerSecond">Tokens after the first one; the median of the rounds, as are the next four.</param>
/// <param name="WeightBytesPerSecond">The bytes of the weights used in matrix products, once a token. The cache is not counted.</param>
/// <param name="MemoryBytesPerSecond">The bytes that as many threads read, the better of before and after.</param>
/// <param name="Utilization">The ratio of the two. It may pass 1 where the weights fit the processor's caches.</param>
/// <param name="FirstTokenSeconds">From the prompt to the first token.</param>
/// <param name="UtilizationMinimum">The least ratio of a round.</param>
/// <param name="UtilizationMaximum">The greatest ratio of a round.</param>
/// <param name="Rounds">How many ratios there are.</param>
/// <param name="Threads">The threads that libtorch used.</param>
/// <param name="Parameters">The size of the model.</param>
/// <param name="PromptTokens">The length of the prompt.</param>
/// <param name="GeneratedTokens">The length of the continuation.</param>
public sealed record DecodingBenchmark(
    double TokensPerSecond, double WeightBytesPerSecond, double MemoryBytesPerSecond, double Utilization, double FirstTokenSeconds,
    double UtilizationMinimum, double UtilizationMaximum, int Rounds, int Threads, long Parameters, int PromptTokens, int GeneratedTokens)
{
    private const int MostTokens = 128;

    /// <summary>Continues a prompt of random tokens greedily, at batch size 1: 128 tokens by 128, or as many as the context holds.</summary>
    /// <param name="model">What writes.</param>
    /// <param name="rounds">How often it writes.</param>
    /// <param name="cancellation">Ends the measurement after the current token.</param>
    /// <exception cref="InputException">The context is shorter than the three tokens that are needed.</exception>
    public static DecodingBenchmark Run(TransformerModel model, int rounds, CancellationToken cancellation = default)
    {
        var context = model.Config.ContextLength;
        if (context < 3) throw new InputException($"model.context_length: found {context}, but a prompt and two tokens after it need 3 or more.");
        var prompt = new int[Math.Min(MostTokens, context / 2)];
        var random = new Random(0);
        foreach (ref var token in prompt.AsSpan()) token = random.Next(model.Config.VocabularySize!.Value);
        var options = SamplingOptions.Greedy with { MaxTokens = Math.Min(MostTokens, context - prompt.Length) };
        var generator = new TextGenerator(model);
        Write();

        var size = new ModelSize(model.Config);
        var (paces, firsts, limits) = (new double[rounds], new double[rounds], new double[rounds]);
        var before = MachineRate.MemoryBytesPerSecond();
        for (var round = 0; round < rounds; round++)
        {
            (firsts[round], paces[round]) = Write();
            var after = MachineRate.MemoryBytesPerSecond();
            (limits[round], before) = (Math.Max(before, after), after);
        }

        var weightBytes = size.MatrixParameters * (double)sizeof(float);
        var pace = Spread.Of(paces).Median;
        var ratio = Spread.Of(paces.Zip(limits, (tokens, limit) => tokens * weightBytes / limit));
        return new(
            pace, pace * weightBytes, Spread.Of(limits).Median, ratio.Median, Spread.Of(firsts).Median,
            ratio.Minimum, ratio.Maximum, rounds, get_num_threads(), size.Parameters, prompt.Length, options.MaxTokens);

        // Seconds to the first token, and tokens a second after it.
        (double First, double Pace) Write()
        {
            var watch = Stopwatch.StartNew();
            double? first = null;
            generator.Generate([prompt], options, (_, _) => first ??= watch.Elapsed.TotalSeconds, cancellation: cancellation);
            cancellation.ThrowIfCancellationRequested();
            return (first!.Value, (options.MaxTokens - 1) / (watch.Elapsed.TotalSeconds - first.Value));
        }
    }
}
