using System.Diagnostics;
using Transformer.Configuration;
using Transformer.Distributed;
using Transformer.Generation;

namespace Transformer.Cli;

/// <summary><c>generate --prompts</c>: continues many prompts, some at once.</summary>
internal static class GenerateBatch
{
    /// <summary>
    /// Shows all continuations in the order of their prompts, each as soon as those before it are done. One that fails is reported, and the
    /// others go on.
    /// </summary>
    /// <param name="output">Where they go.</param>
    /// <param name="error">Where failures and notes go.</param>
    /// <param name="models">What generates.</param>
    /// <param name="prompts">The prompts.</param>
    /// <param name="count">The samples of each.</param>
    /// <param name="parallel">How many run at once.</param>
    /// <param name="json">Whether one JSON object is printed.</param>
    /// <param name="cancellation">Ends all after the current step.</param>
    /// <returns>The exit code.</returns>
    /// <exception cref="InputException">A prompt is wrong.</exception>
    public static int Run(
        TextWriter output, TextWriter error, GenerationModels models, IReadOnlyList<PromptLine> prompts, int count, int parallel, bool json,
        CancellationToken cancellation)
    {
        if ((long)prompts.Count * count > GenerateOptions.MostSamples)
            throw new InputException(
                $"--count: {count} samples of each of {prompts.Count} prompts are {(long)prompts.Count * count}, " +
                $"expected {GenerateOptions.MostSamples} together at most.");
        var slots = models.FewerWithRoom(Math.Min(parallel, prompts.Count * count));
        using var batch = new ContinuousBatch(models.Model, slots, models.Tokenizer);
        var watch = Stopwatch.StartNew();
        var samples = prompts.SelectMany(prompt => Enumerable.Range(0, count).Select(row => new Sample(prompt, Submit(prompt, row))))
            .ToArray();
        var (ended, isFirst) = (0, true);
        while (batch.Step()) Show();
        Show();
        GeneratedText[] texts = [.. samples.Where(sample => sample.Failure is null).Select(sample => sample.Generated)];
        GenerationNotes.FullContext(error, texts, models.ContextLength);
        GenerationNotes.Cut(error, [.. samples.Where(sample => sample is { Failure: null, Prompt.Options.Constraint: not null })
            .Select(sample => sample.Generated)], "max_tokens");
        if (json)
        {
            ScriptJson.Write(output, new
            {
                Samples = samples.Select(Described),
                TokensPerSecond = texts.Sum(text => text.Tokens.Count) / watch.Elapsed.TotalSeconds,
                batch.Steps,
                batch.TokensRead,
                batch.TokensReused,
            });
        }
        return texts.Any(text => text.FinishReason == FinishReason.Cancelled) ? CommandLine.Interrupted
            : texts.Length < samples.Length ? CommandLine.Refused
            : CommandLine.Done;

        void Show()
        {
            for (; ended < samples.Length && samples[ended].Text.IsCompleted; ended++)
            {
                var sample = samples[ended];
                if (sample.Failure is { } failure) error.WriteLine($"{sample.Prompt.Origin}: {failure}");
                else if (!json)
                {
                    if (!isFirst) output.WriteLine(GenerateVerb.Separator);
                    isFirst = false;
                    output.WriteLine(sample.Prompt.Text + sample.Generated.Text);
                }
            }
        }

        Task<GeneratedText> Submit(PromptLine prompt, int row)
        {
            try
            {
                return batch.Submit(batch.Encode(prompt.Text), prompt.Options, row, cancellation: cancellation);
            }
            catch (InputException e)
            {
                throw new InputException($"{prompt.Origin}: {e.Message}", e);
            }
        }
    }

    private static object Described(Sample sample) => sample.Failure is { } failure
        ? new { Prompt = sample.Prompt.Text, Error = failure }
        : new
        {
            Prompt = sample.Prompt.Text,
            sample.Generated.Text,
            sample.Generated.Tokens,
            sample.Generated.FinishReason,
            sample.Generated.Dropped,
            sample.Generated.ReusedTokens
        };

    private sealed record Sample(PromptLine Prompt, Task<GeneratedText> Text)
    {
        /// <summary>Why it failed; null where it did not.</summary>
        public string? Failure => Text.Exception?.InnerException is InputException failure ? failure.Message : null;

        /// <summary>What was generated, when it has ended.</summary>
        public GeneratedText Generated => Text.GetAwaiter().GetResult();
    }
}
