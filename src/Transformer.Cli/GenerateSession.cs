using System.CommandLine;
using System.Diagnostics;
using System.Runtime.ExceptionServices;
using Transformer.Configuration;
using Transformer.Files;
using Transformer.Generation;
using Transformer.Inference;
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
        if (saveTo is not null)
        {
            DurableFile.RequireWritable(saveTo);
            StateFile.RequireReplaceable(saveTo);
        }
        using var session = request.GetValue(State) is { } file
            ? generator.Resume(file, prompt, earlier => Sampling(request, earlier))
            : generator.Begin(generator.Encode(prompt), options);
        prompt = session.HeldBack + prompt;
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        OutputException? unshown = null;
        InputException? unsaved = null;
        var watch = Stopwatch.StartNew();
        var (isFirst, firstToken) = (true, 0.0);
        var text = session.Run(_ => Begin(), piece => { if (!json) Show(() => output.Write(piece)); }, saveTo is null, stop.Token);
        Begin();
        var seconds = watch.Elapsed.TotalSeconds;
        // Neither the file nor the output is lost where the other cannot be written.
        try
        {
            if (saveTo is not null) session.Save(saveTo);
        }
        catch (InputException failure)
        {
            unsaved = failure;
        }
        if (json)
            Show(() => ScriptJson.Write(output, new
            {
                Prompt = prompt,
                Samples = new[] { new { text.Text, text.Tokens, text.FinishReason, text.Dropped } },
                TokensPerSecond = text.Tokens.Count / seconds,
                FirstTokenSeconds = firstToken,
            }));
        else Show(output.WriteLine);
        GenerationNotes.End(error, [text], session.Options, models.ContextLength, isSaved: saveTo is not null && unsaved is null);
        if ((unsaved ?? (Exception?)unshown) is { } problem) ExceptionDispatchInfo.Throw(problem);
        return text.FinishReason == FinishReason.Cancelled ? CommandLine.Interrupted : CommandLine.Done;

        // Only now are prompt and options known to be valid.
        void Begin()
        {
            if (!isFirst) return;
            (isFirst, firstToken) = (false, watch.Elapsed.TotalSeconds);
            if (!json) Show(() => output.Write(prompt));
        }

        // Where nobody reads on, the text ends as if it were interrupted.
        void Show(Action write)
        {
            try
            {
                if (unshown is null) write();
            }
            catch (OutputException failure)
            {
                unshown = failure;
                stop.Cancel();
            }
        }
    }
}
