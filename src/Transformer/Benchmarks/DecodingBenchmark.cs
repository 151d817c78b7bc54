using System.Diagnostics;
using Transformer.Configuration;
using Transformer.Generation;
using Transformer.Inference;
using Transformer.Inference.Cpu;
using Transformer.Inference.Torch;
using Transformer.Model;
using Transformer.Native;
using static TorchSharp.torch;

namespace Transformer.Benchmarks;

/// <summary>
/// How fast a model generates here, beside what the memory can do at best: each step reads all weights once, for one text or for several
/// together. Generations and passes over the memory alternate, and each round gives a ratio of its own.
/// </summary>
/// <param name="TokensPerSecond">Tokens of all sequences after each one's first; the median of the rounds, as are the next four.</param>
/// <param name="WeightBytesPerSecond">The bytes of the weights used in matrix products, once per step. The cache is not counted.</param>
/// <param name="MemoryBytesPerSecond">The bytes per second that as many threads read, the better of before and after.</param>
/// <param name="Utilization">The ratio of the two. It may exceed 1 where the weights fit the processor's caches.</param>
/// <param name="FirstTokenSeconds">From the prompts to the first token.</param>
/// <param name="UtilizationMinimum">The least ratio of a round.</param>
/// <param name="UtilizationMaximum">The greatest ratio of a round.</param>
/// <param name="Rounds">How many ratios there are.</param>
/// <param name="Threads">The number of threads.</param>
/// <param name="Parameters">The size of the model.</param>
/// <param name="PromptTokens">The length of the prompt.</param>
/// <param name="GeneratedTokens">The length of the continuation.</param>
/// <param name="Sequences">How many texts were generated together.</param>
/// <param name="Quantize">How the matrices lay in memory.</param>
public sealed record DecodingBenchmark(
    double TokensPerSecond, double WeightBytesPerSecond, double MemoryBytesPerSecond, double Utilization, double FirstTokenSeconds,
    double UtilizationMinimum, double UtilizationMaximum, int Rounds, int Threads, long Parameters, int PromptTokens, int GeneratedTokens,
    int Sequences, WeightFormat Quantize)
{
    private const int MostTokens = 128;

    /// <summary>Continues prompts of random tokens greedily, by 128 tokens or as many as the context holds.</summary>
    /// <param name="model">The model.</param>
    /// <param name="rounds">How often it generates.</param>
    /// <param name="format">How the matrices lie in memory.</param>
    /// <param name="sequences">How many texts it generates together.</param>
    /// <param name="promptTokens">How many tokens each prompt has; 128, or half the context, where null.</param>
    /// <param name="cancellation">Ends the measurement after the current token.</param>
    /// <exception cref="InputException">The context is shorter than the three tokens that are needed, the prompt does not fit it, or the
    /// format is for the engine and the model is not.</exception>
    public static DecodingBenchmark Run(
        TransformerModel model, int rounds, WeightFormat format = WeightFormat.AsIs, int sequences = 1, int? promptTokens = null,
        CancellationToken cancellation = default)
    {
        using var inference = ModelInference.Of(model, format);
        var weightBytes = new ModelSize(model.Config).MatrixParameters * format.BytesPerWeight();
        return Run(inference, weightBytes, rounds, format, sequences, promptTokens, cancellation);
    }

    /// <summary>The same for whatever computes such a model.</summary>
    /// <param name="model">The model.</param>
    /// <param name="weightBytes">The bytes of the weights used in matrix products.</param>
    /// <param name="rounds">How often it generates.</param>
    /// <param name="format">How the matrices lie in memory.</param>
    /// <param name="sequences">How many texts it generates together.</param>
    /// <param name="promptTokens">How many tokens each prompt has; 128, or half the context, where null.</param>
    /// <param name="cancellation">Ends the measurement after the current token.</param>
    /// <exception cref="InputException">The context is shorter than the three tokens that are needed.</exception>
    public static DecodingBenchmark Run(
        InferenceModel model, double weightBytes, int rounds, WeightFormat format, int sequences = 1, int? promptTokens = null,
        CancellationToken cancellation = default)
    {
        var (generator, config) = (new TextGenerator(model), model.Config);
        var context = config.ContextLength;
        if (context < 3)
            throw new InputException($"model.context_length: found {context}, but a prompt and two tokens after it need 3 or more.");
        var promptLength = promptTokens ?? Math.Min(MostTokens, context / 2);
        if (promptLength < 1 || promptLength > context - 2)
            throw new InputException($"--prompt-tokens: found {promptLength}, expected 1 to {context - 2}, " +
                "so that two tokens after the prompt fit the context.");
        var random = new Random(0);
        int[][] prompts = [.. Enumerable.Range(0, sequences)
            .Select(_ => Enumerable.Range(0, promptLength).Select(_ => random.Next(config.VocabularySize!.Value)).ToArray())];
        var options = SamplingOptions.Greedy with { MaxTokens = Math.Min(MostTokens, context - promptLength) };
        Generate();

        var (paces, firsts, limits) = (new double[rounds], new double[rounds], new double[rounds]);
        var before = MachineRate.MemoryBytesPerSecond();
        for (var round = 0; round < rounds; round++)
        {
            (firsts[round], paces[round]) = Generate();
            var after = MachineRate.MemoryBytesPerSecond();
            (limits[round], before) = (Math.Max(before, after), after);
        }

        var tokenBytes = weightBytes / sequences;
        var pace = Spread.Of(paces).Median;
        var ratio = Spread.Of(paces.Zip(limits, (tokens, limit) => tokens * tokenBytes / limit));
        return new(
            pace, pace * tokenBytes, Spread.Of(limits).Median, ratio.Median, Spread.Of(firsts).Median,
            ratio.Minimum, ratio.Maximum, rounds, get_num_threads(), new ModelSize(config).Parameters, promptLength, options.MaxTokens,
            sequences, format);

        // Seconds to the first token, and tokens a second after it.
        (double First, double Pace) Generate()
        {
            var watch = Stopwatch.StartNew();
            double? first = null;
            generator.Generate(prompts, options, (_, _) => first ??= watch.Elapsed.TotalSeconds, cancellation: cancellation);
            cancellation.ThrowIfCancellationRequested();
            return (first!.Value, sequences * (options.MaxTokens - 1) / (watch.Elapsed.TotalSeconds - first.Value));
        }
    }
}
