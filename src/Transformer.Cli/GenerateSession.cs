using System.CommandLine;
using System.Diagnostics;
using Transformer.Configuration;
using Transformer.Files;
using Transformer.Generation;
using static Transformer.Cli.GenerateOptions;

namespace Transformer.Cli;

/// <summary><c>generate --save-state</c> and <c>generate --state</c>: one text in parts, perhaps of several processes.</summary>
internal static class GenerateSession
{
    /// <summary>Shows a part of a text, and saves where it ended.</summary>
    /// <param name="request">The request.</param>
    /// <param name="models">What generates.</param>
    /// <param name="generator">The generator.</param>
    /// <param name="prompt">The text to continue, or the text that is appended to a saved one.</param>
    /// <param name="options">How the tokens of a new text are chosen.</param>
    /// <param name="cancellation">Ends the part after the current step; it is saved as well.</param>
    /// <returns>The exit code.</returns>
    /// <exception cref="InputException">The prompt is wrong, or a file is not what was expected.</exception>
    public static int Run(
        ParseResult request, GenerationModels models, TextGenerator generator, string prompt, SamplingOptions options,
        CancellationToken cancellation)
    {
        var (output, error) = (request.InvocationConfiguration.Output, request.InvocationConfiguration.Error);
        var (json, saveTo) = (request.GetValue(SharedOptions.Json), request.GetValue(SaveState));
        if (saveTo is not null) DurableFile.RequireWritable(saveTo);
        using var session = request.GetValue(State) is { } file
            ? generator.Resume(file, prompt, earlier => Sampling(request, earlier))
            : generator.Begin(generator.Encode(prompt), options);
        var watch = Stopwatch.StartNew();
        var (isFirst, firstToken) = (true, 0.0);
        var text = session.Run(_ => Begin(), piece => { if (!json) output.Write(piece); }, cancellation);
        Begin();
        var seconds = watch.Elapsed.TotalSeconds;
        if (saveTo is not null) session.Save(saveTo);
        if (json)
            ScriptJson.Write(output, new
            {
                Prompt = prompt,
                Samples = new[] { new { text.Text, text.Tokens, text.FinishReason, text.Dropped } },
                TokensPerSecond = text.Tokens.Count / seconds,
                FirstTokenSeconds = firstToken,
            });
        else output.WriteLine();
        GenerateVerb.NoteEnd(error, [text], session.Options, models.ContextLength);
        return text.FinishReason == FinishReason.Cancelled ? CommandLine.Interrupted : CommandLine.Done;

        // Only now are prompt and options known to be valid.
        void Begin()
        {
            if (!isFirst) return;
            (isFirst, firstToken) = (false, watch.Elapsed.TotalSeconds);
            if (!json) output.Write(prompt);
        }
    }
}
