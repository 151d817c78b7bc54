using System.Diagnostics;
using Transformer.Configuration;
using Transformer.Generation;

namespace Transformer.Cli;

/// <summary><c>generate --beams</c>: looks for the most probable continuations.</summary>
internal static class GenerateBeams
{
    /// <summary>Shows the best continuations of a prompt.</summary>
    /// <param name="output">Where they go.</param>
    /// <param name="models">What generates.</param>
    /// <param name="prompt">The text to continue.</param>
    /// <param name="memory">What JSON says of the turns before the prompt; null where there is no memory.</param>
    /// <param name="beams">How many texts are kept.</param>
    /// <param name="lengthPenalty">The power of its length by which a text's log-probability is divided.</param>
    /// <param name="maxTokens">The greatest number of tokens; as many as fit the context, up to the default number, where null.</param>
    /// <param name="count">How many of the texts are shown.</param>
    /// <param name="json">Whether one JSON object is printed.</param>
    /// <param name="cancellation">Ends the search after the current step.</param>
    /// <returns>The exit code.</returns>
    /// <exception cref="InputException">The prompt or a number is wrong.</exception>
    public static int Run(
        TextWriter output, GenerationModels models, string prompt, object? memory, int beams, double lengthPenalty, int? maxTokens,
        int count, bool json, CancellationToken cancellation)
    {
        if (count > beams)
            throw new InputException($"--count: found {count}, expected at most the {beams} beams: a search ends with as many texts.");
        var watch = Stopwatch.StartNew();
        var tokens = models.Generator.Encode(prompt);
        var room = Math.Max(1, models.ContextLength - tokens.Length + 1);
        var most = maxTokens ?? Math.Min(room, new SamplingOptions().MaxTokens);
        models.RequireRoom("--beams", beams, tokens.Length + (long)most);
        var found = new BeamSearch(models.Model, models.Tokenizer).Search(tokens, beams, most, lengthPenalty, cancellation);
        var best = found.Take(count).ToArray();
        if (json)
            ScriptJson.Write(output, new
            {
                Prompt = prompt,
                Memory = memory,
                Samples = best,
                TokensPerSecond = best[0].Tokens.Count / watch.Elapsed.TotalSeconds,
            });
        else output.WriteLine(string.Join($"\n{GenerateVerb.Separator}\n", best.Select(text => prompt + text.Text)));
        return cancellation.IsCancellationRequested ? CommandLine.Interrupted : CommandLine.Done;
    }
}
