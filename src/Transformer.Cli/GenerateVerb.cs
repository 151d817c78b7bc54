using System.CommandLine;
using System.Diagnostics;
using System.Text;
using System.Text.Json;
using Transformer.Configuration;
using Transformer.Distributed;
using Transformer.Generation;
using Transformer.Generation.Decoding;
using Transformer.Layers;

namespace Transformer.Cli;

/// <summary><c>generate</c>: continues a prompt.</summary>
internal static class GenerateVerb
{
    private const string Separator = "---------------";
    private static readonly SamplingOptions Defaults = new();

    private static readonly Argument<string> Source = new("PATH") { Description = "A run's folder, a checkpoint's folder, a .safetensors or .gguf file, or a folder with an ONNX model." };
    private static readonly Option<string?> Prompt = new("--prompt")
    {
        Description = "The text to continue; nothing where absent.",
        HelpName = "TEXT",
    };

    private static readonly Option<string?> PromptFile = new("--prompt-file")
    {
        Description = "The file with the text to continue.",
        HelpName = "FILE",
    };

    private static readonly Option<int> MaxTokens = new("--max-tokens")
    {
        Description = "The greatest number of tokens a sample.",
        HelpName = "N",
        DefaultValueFactory = _ => Defaults.MaxTokens,
    };

    private static readonly Option<bool> Greedy = new("--greedy") { Description = "Take the likeliest token always." };

    private static readonly Option<double> Temperature = new("--temperature")
    {
        Description = "What logits are divided by; 0 is greedy.",
        HelpName = "X",
        DefaultValueFactory = _ => Defaults.Temperature,
    };

    private static readonly Option<int?> TopK = new("--top-k") { Description = "Draw from the K likeliest tokens only.", HelpName = "K" };
    private static readonly Option<double?> TopP = new("--top-p")
    {
        Description = "Draw from the fewest tokens with probability P together.",
        HelpName = "P",
    };

    private static readonly Option<double?> MinP = new("--min-p")
    {
        Description = "Draw from tokens at least P times as likely as the likeliest.",
        HelpName = "P",
    };

    private static readonly Option<double> RepetitionPenalty = new("--repetition-penalty")
    {
        Description = "Make tokens that occurred less likely; 1 is off.",
        HelpName = "X",
        DefaultValueFactory = _ => Defaults.RepetitionPenalty,
    };

    private static readonly Option<string[]> Stop = new("--stop")
    {
        Description = "A text that ends a sample; may be given again.",
        HelpName = "TEXT",
        DefaultValueFactory = _ => [],
    };

    private static readonly Option<long> Seed = new("--seed")
    {
        Description = "Where the random numbers start.",
        HelpName = "N",
        DefaultValueFactory = _ => Defaults.Seed,
    };

    private static readonly Option<int> Count = new("--count")
    {
        Description = "The number of samples, made in one batch.",
        HelpName = "N",
        DefaultValueFactory = _ => 1,
    };

    private static readonly Option<int> Guesses = new("--guess")
    {
        Description = "Read up to N tokens ahead that the text itself suggests; changes the pace, never the text.",
        HelpName = "N",
    };

    private static readonly Option<bool> TensorParallel = new("--tensor-parallel")
    {
        Description = "Write together with the other ranks of mpirun, each with its share of the heads and hidden units.",
    };

    /// <summary>The verb.</summary>
    public static Command Create()
    {
        var verb = new Command("generate", "Continues a prompt with a trained model.")
        {
            Source, Prompt, PromptFile, MaxTokens, Greedy, Temperature, TopK, TopP, MinP, RepetitionPenalty, Stop, Seed, Count,
            Guesses, TensorParallel, SharedOptions.Quantize, SharedOptions.Threads, SharedOptions.Device, SharedOptions.Json,
        };
        verb.SetAction((request, cancellation) => Task.FromResult(Run(request, cancellation)));
        return verb;
    }

    private static int Run(ParseResult request, CancellationToken cancellation)
    {
        using var ranks = Launch.Join(request.InvocationConfiguration.Error);
        return RankedVerb.Run(request, ranks, () => Run(request, ranks, cancellation), failure => failure is InputException);
    }

    private static int Run(ParseResult request, ICollective ranks, CancellationToken cancellation)
    {
        var isFirst = ranks.Rank == 0;
        var (output, error) = isFirst ? (request.InvocationConfiguration.Output, request.InvocationConfiguration.Error) : (TextWriter.Null, TextWriter.Null);
        var (count, json) = (request.GetValue(Count), request.GetValue(SharedOptions.Json));
        var (options, prompt) = (Options(request), "");
        CheckRanks(request, ranks);
        SharedOptions.UseThreads(request, ranks);
        using var writer = ranks.Together(() =>
        {
            prompt = ReadPrompt(request);
            return Open(request, ranks);
        });
        var generator = writer.Generator;
        ranks.Doing = "writing";

        // One sample is shown as it comes; several would mingle, so they follow each other at the end.
        var live = !json && count == 1;
        var tokens = generator.Encode(prompt);
        double? firstToken = null;
        var (lengths, slid) = (Enumerable.Repeat(tokens.Length, count).ToArray(), false);
        var start = SinceProcessStart();
        var samples = generator.Generate(
            [.. Enumerable.Repeat(tokens, count)],
            options,
            onToken: (row, _) =>
            {
                if (firstToken is null) Begin();
                if (++lengths[row] <= writer.ContextLength || slid) return;
                slid = true;
                NoteFullContext(error, writer.ContextLength, live);
            },
            onText: (_, text) => { if (live) output.Write(text); },
            cancellation);
        var seconds = SinceProcessStart() - start;
        if (firstToken is null) Begin();

        if (json)
        {
            ScriptJson.Write(output, new
            {
                Prompt = prompt,
                Samples = samples.Select(sample => new { sample.Text, sample.Tokens, FinishReason = Name(sample.FinishReason) }),
                TokensPerSecond = samples.Sum(sample => sample.Tokens.Count) / seconds,
                FirstTokenSeconds = firstToken,
            });
        }
        else if (live) output.WriteLine();
        else output.WriteLine(string.Join($"\n{Separator}\n", samples.Select(sample => prompt + sample.Text)));

        return samples.Any(sample => sample.FinishReason == FinishReason.Cancelled) ? CommandLine.Interrupted : CommandLine.Done;

        // Only now are prompt and options known to be sound.
        void Begin()
        {
            firstToken = SinceProcessStart();
            if (live) output.Write(prompt);
        }
    }

    // Ranks that each had the whole model would write the same text side by side, and those with other arguments wait for what never comes.
    private static void CheckRanks(ParseResult request, ICollective ranks)
    {
        var isShared = request.GetValue(TensorParallel);
        if (isShared && ranks.Ranks == 1) throw new InputException("--tensor-parallel: found one process, expected several. Start them by mpirun -np N transformer generate, or leave it out.");
        if (!isShared && ranks.Ranks > 1)
            throw new InputException($"generate: {ranks.Ranks} ranks would each write the same. Give --tensor-parallel, so that they share the model, or leave out mpirun or srun.");
        var arguments = ranks.Gather(string.Join(' ', request.Tokens.Select(token => token.Value)));
        if (Array.FindIndex(arguments, other => other != arguments[0]) is var rank and >= 0)
            throw new InputException($"generate: rank {rank} was given {arguments[rank]}, rank 0 {arguments[0]}. Give all ranks the same.");
    }

    private static Writer Open(ParseResult request, ICollective ranks)
    {
        var (count, guesses) = (request.GetValue(Count), request.GetValue(Guesses));
        if (count < 1) throw new InputException($"--count: found {count}, expected 1 or more.");
        if (guesses < 0) throw new InputException($"--guess: found {guesses}, expected 0 or more.");
        var format = WeightFormats.Named(request.GetValue(SharedOptions.Quantize)!);
        return Writer.Open(request.GetRequiredValue(Source), format, SharedOptions.DeviceOf(request), guesses, ranks.Ranks > 1 ? new TensorRanks(ranks) : null);
    }

    // In the middle of a line of text where that is shown live.
    private static void NoteFullContext(TextWriter error, int context, bool live) => error.WriteLine(
        $"{(live ? "\n" : "")}The context of {context} tokens is full: from here on the model sees the last {Math.Max(1, context / 2)} to {context} tokens.");

    private static SamplingOptions Options(ParseResult request) => new()
    {
        Temperature = request.GetValue(Greedy) ? 0 : request.GetValue(Temperature),
        TopK = request.GetValue(TopK),
        TopP = request.GetValue(TopP),
        MinP = request.GetValue(MinP),
        RepetitionPenalty = request.GetValue(RepetitionPenalty),
        Seed = request.GetValue(Seed),
        MaxTokens = request.GetValue(MaxTokens),
        Stop = request.GetRequiredValue(Stop),
    };

    private static string ReadPrompt(ParseResult request)
    {
        var prompt = request.GetValue(Prompt);
        if (request.GetValue(PromptFile) is not { } file) return prompt ?? "";
        if (prompt is not null) throw new InputException("--prompt and --prompt-file: both give the prompt; leave one out.");
        try
        {
            return File.ReadAllText(file, new UTF8Encoding(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true));
        }
        catch (DecoderFallbackException e)
        {
            throw new InputException($"{file}: found bytes that are not UTF-8; expected a text file with the prompt.", e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InputException($"{file}: cannot be read ({e.Message}); expected a text file with the prompt.", e);
        }
    }

    private static string Name(FinishReason reason) => JsonNamingPolicy.SnakeCaseLower.ConvertName(reason.ToString());

    private static double SinceProcessStart() => (DateTime.Now - Process.GetCurrentProcess().StartTime).TotalSeconds;
}
