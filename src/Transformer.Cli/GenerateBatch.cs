using System.Diagnostics;
using Transformer.Configuration;
using Transformer.Generation;

namespace Transformer.Cli;

/// <summary><c>generate --prompts</c>: continues many prompts, some at once.</summary>
internal static class GenerateBatch
{
    /// <summary>Writes all continuations in the order of their prompts, each as soon as those before it are done.</summary>
    /// <param name="output">Where they go.</param>
    /// <param name="writer">What writes.</param>
    /// <param name="prompts">The prompts.</param>
    /// <param name="count">The samples of each.</param>
    /// <param name="parallel">How many run at once.</param>
    /// <param name="json">Whether one JSON object is printed.</param>
    /// <param name="cancellation">Ends all after the current step.</param>
    /// <returns>The exit code.</returns>
    /// <exception cref="InputException">A prompt is wrong, or the model cannot write so.</exception>
    public static int Run(TextWriter output, Writer writer, IReadOnlyList<PromptLine> prompts, int count, int parallel, bool json, CancellationToken cancellation)
    {
        using var batch = new ContinuousBatch(writer.EngineFor("--prompts"), parallel, writer.Tokenizer);
        var watch = Stopwatch.StartNew();
        var samples = prompts.SelectMany(prompt => Enumerable.Range(0, count).Select(row => (prompt.Text, Sample: Submit(prompt, row)))).ToArray();
        var shown = 0;
        while (batch.Step()) Show();
        Show();
        var texts = samples.Select(sample => Of(sample.Sample)).ToArray();
        if (json)
        {
            ScriptJson.Write(output, new
            {
                Samples = samples.Zip(texts, (sample, text) => new { Prompt = sample.Text, text.Text, text.Tokens, text.FinishReason, text.ReusedTokens }),
                TokensPerSecond = texts.Sum(text => text.Tokens.Count) / watch.Elapsed.TotalSeconds,
                batch.Steps,
                batch.TokensRead,
                batch.TokensReused,
            });
        }
        return texts.Any(text => text.FinishReason == FinishReason.Cancelled) ? CommandLine.Interrupted : CommandLine.Done;

        void Show()
        {
            for (; !json && shown < samples.Length && samples[shown].Sample.IsCompleted; shown++)
            {
                if (shown > 0) output.WriteLine(GenerateVerb.Separator);
                output.WriteLine(samples[shown].Text + Of(samples[shown].Sample).Text);
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

    private static GeneratedText Of(Task<GeneratedText> sample) => sample.GetAwaiter().GetResult();
}
