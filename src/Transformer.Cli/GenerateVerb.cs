using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using Transformer.Configuration;
using Transformer.Distributed;
using Transformer.Generation;
using Transformer.Generation.Constraints;
using Transformer.Generation.Decoding;
using Transformer.Layers;

namespace Transformer.Cli;

/// <summary><c>generate</c>: continues a prompt.</summary>
internal static class GenerateVerb
{
    /// <summary>What the verb is called.</summary>
    public const string Name = "generate";

    /// <summary>What stands between two samples.</summary>
    public const string Separator = "---------------";

    private const int UsualGuesses = 4;

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

    private static readonly Option<string?> Regex = new("--regex")
    {
        Description = "Write only what matches this regular expression as a whole.",
        HelpName = "PATTERN",
    };

    private static readonly Option<string?> JsonSchema = new("--json-schema")
    {
        Description = "Write only JSON that is valid by this schema: a file, or the schema itself, which begins with a brace.",
        HelpName = "FILE|TEXT",
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

    private static readonly Option<int?> Guesses = new("--guess")
    {
        Description = $"Read up to N tokens ahead that the text itself suggests, or --draft (then {UsualGuesses} where absent); changes the pace, not how likely a text is.",
        HelpName = "N",
    };

    private static readonly Option<string?> Draft = new("--draft")
    {
        Description = "A smaller model of the same tokenizer that guesses ahead.",
        HelpName = "PATH",
    };

    private static readonly Option<string?> Prompts = new("--prompts")
    {
        Description = "A file with many prompts: one a line or, of a .jsonl file, one object a line with the prompt and options of its own, {\"prompt\": \"Once\", \"seed\": 3}.",
        HelpName = "FILE",
    };

    private static readonly Option<int> Parallel = new("--parallel")
    {
        Description = "How many of --prompts are continued at once.",
        HelpName = "N",
        DefaultValueFactory = _ => 8,
    };

    private static readonly Option<int?> Beams = new("--beams")
    {
        Description = "Look for the likeliest text among the N best of each length, instead of drawing tokens.",
        HelpName = "N",
    };

    private static readonly Option<double> LengthPenalty = new("--length-penalty")
    {
        Description = "The power of its length by which a beam's log-probability is divided: 0 prefers short texts, 1 takes the mean.",
        HelpName = "X",
        DefaultValueFactory = _ => 1,
    };

    private static readonly Option<bool> TensorParallel = new("--tensor-parallel")
    {
        Description = "Write together with the other ranks of mpirun, each with its share of the heads and hidden units.",
    };

    // Of each option those that mean nothing beside it.
    private static readonly Dictionary<Option, Option[]> Conflicts = new()
    {
        [Greedy] = [Temperature, TopK, TopP, MinP],
        [Prompts] = [Prompt, PromptFile, Guesses, Draft, Beams],
        [TensorParallel] = [Prompts, Beams, Guesses, Draft],
        [Beams] = [Greedy, Temperature, TopK, TopP, MinP, RepetitionPenalty, Stop, Regex, JsonSchema, Seed, Guesses, Draft],
    };

    private static readonly Dictionary<Option, Option> Needs = new() { [Parallel] = Prompts, [LengthPenalty] = Beams };

    /// <summary>The verb.</summary>
    public static Command Create()
    {
        var verb = new Command(Name, "Continues a prompt with a trained model.")
        {
            Source, Prompt, PromptFile, MaxTokens, Greedy, Temperature, TopK, TopP, MinP, RepetitionPenalty, Stop, Regex, JsonSchema, Seed, Count,
            Guesses, Draft, Prompts, Parallel, Beams, LengthPenalty, TensorParallel, SharedOptions.Quantize, SharedOptions.Threads, SharedOptions.Device, SharedOptions.Json,
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
        if (ranks.Ranks > 1) SharedOptions.UseThreads(request, ranks);
        CheckRanks(request, ranks);
        var (options, prompt, prompts, writer) = ranks.Together(() => Prepare(request, ranks));
        using var opened = writer;
        var (count, json) = (request.GetValue(Count), request.GetValue(SharedOptions.Json));
        if (prompts is not null) return GenerateBatch.Run(output, error, writer, prompts, count, request.GetValue(Parallel), json, cancellation);
        if (request.GetValue(Beams) is { } beams)
        {
            var most = IsGiven(request, MaxTokens) ? options.MaxTokens : (int?)null;
            return GenerateBeams.Run(output, writer, prompt, beams, request.GetValue(LengthPenalty), most, count, json, cancellation);
        }
        var generator = writer.Generator;
        ranks.Doing = "writing";

        // One sample is shown as it comes; several would mingle, so they follow each other at the end.
        var live = !json && count == 1;
        var tokens = ranks.Together(() => generator.Encode(prompt));
        CheckPrompts(ranks, tokens, writer.ContextLength);
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

        if (options.Constraint is not null) NoteCut(error, samples, $"{options.MaxTokens} tokens");
        if (json)
        {
            ScriptJson.Write(output, new
            {
                Prompt = prompt,
                Samples = samples.Select(sample => new { sample.Text, sample.Tokens, sample.FinishReason }),
                TokensPerSecond = samples.Sum(sample => sample.Tokens.Count) / seconds,
                FirstTokenSeconds = firstToken,
                samples[0].Speculation,
            });
        }
        else if (live) output.WriteLine();
        else output.WriteLine(string.Join($"\n{Separator}\n", samples.Select(sample => prompt + sample.Text)));

        if (!json && samples[0].Speculation is { } speculation)
        {
            error.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{speculation.Accepted} of {speculation.Guessed} guesses became tokens ({speculation.AcceptanceRate:p0}); {samples[0].Tokens.Count} tokens in {speculation.Passes} passes."));
        }
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
        var arguments = ranks.Gather(string.Join(' ', request.Tokens.Select(token => token.Value)));
        if (Array.FindIndex(arguments, other => other != arguments[0]) is var rank and >= 0)
            throw new InputException($"generate: rank {rank} was given {arguments[rank]}, rank 0 {arguments[0]}. Give all ranks the same.");
        var isShared = request.GetValue(TensorParallel);
        if (isShared && ranks.Ranks == 1) throw new InputException("--tensor-parallel: found one process, expected several. Start them by mpirun -np N transformer generate, or leave it out.");
        if (!isShared && ranks.Ranks > 1)
            throw new InputException($"generate: {ranks.Ranks} ranks would each write the same. Give --tensor-parallel, so that they share the model, or leave out mpirun or srun.");
    }

    // Of ranks that read files of their own, each must have found the same.
    private static void CheckPrompts(ICollective ranks, int[] tokens, int contextLength)
    {
        var prompts = ranks.Gather($"{contextLength}: {string.Join(' ', tokens)}");
        if (Array.FindIndex(prompts, other => other != prompts[0]) is var rank and >= 0)
            throw new InputException($"generate: rank {rank} has another prompt or another model than rank 0. Give all machines the same files.");
    }

    private static (SamplingOptions Options, string Prompt, IReadOnlyList<PromptLine>? Prompts, Writer Writer) Prepare(ParseResult request, ICollective ranks)
    {
        RefuseWhatDoesNotGoTogether(request);
        var (options, prompt, count) = (Options(request), ReadPrompt(request), request.GetValue(Count));
        if (count < 1) throw new InputException($"--count: found {count}, expected 1 or more.");
        var format = WeightFormats.Named(request.GetValue(SharedOptions.Quantize)!);
        var threads = SharedOptions.ThreadsOf(request);
        var (draft, parallel) = (request.GetValue(Draft), request.GetValue(Parallel));
        var guesses = request.GetValue(Guesses) ?? (draft is null ? 0 : UsualGuesses);
        var least = draft is null ? 0 : 1;
        if (guesses < least || guesses > TextGenerator.MostGuesses) throw new InputException($"--guess: found {guesses}, expected {least} to {TextGenerator.MostGuesses}.");
        if (guesses > 0 && count > 1) throw new InputException($"--count: found {count}, but guesses are made for one text alone; leave out --guess and --draft, or this.");
        if (parallel < 1) throw new InputException($"--parallel: found {parallel}, expected 1 or more.");
        var prompts = request.GetValue(Prompts) is { } file ? PromptLine.Read(file, options) : null;
        var tensors = ranks.Ranks > 1 ? new TensorRanks(ranks) : null;
        return (options, prompt, prompts, Writer.Open(request.GetRequiredValue(Source), format, request.GetRequiredValue(SharedOptions.Device), threads, guesses, draft, tensors));
    }

    /// <summary>Tells which samples of a constraint may not be whole.</summary>
    /// <param name="error">Where notes go.</param>
    /// <param name="samples">All samples.</param>
    /// <param name="most">What a sample has at most.</param>
    public static void NoteCut(TextWriter error, IReadOnlyList<GeneratedText> samples, string most)
    {
        if (samples.Count(sample => sample.FinishReason == FinishReason.MaxTokens) is > 0 and var cut)
            error.WriteLine($"{cut} of {samples.Count} samples reached {most} before the constraint ended them; raise --max-tokens where the text is not whole.");
    }

    /// <summary>Tells that a sample has outgrown the context.</summary>
    /// <param name="error">Where notes go.</param>
    /// <param name="context">The context's length.</param>
    /// <param name="live">Whether it is told in the middle of a line of text.</param>
    public static void NoteFullContext(TextWriter error, int context, bool live) => error.WriteLine(
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
        Constraint = Constraint(request.GetValue(Regex), request.GetValue(JsonSchema)),
    };

    private static TextConstraint? Constraint(string? pattern, string? schema)
    {
        if (pattern is not null && schema is not null) throw new InputException("--regex and --json-schema: both say what may be written; leave one out.");
        return pattern is not null ? TextConstraint.Regex(pattern)
            : schema is null ? null
            : TextConstraint.JsonSchema(schema.TrimStart().StartsWith('{') ? schema : Utf8File.Read(schema, "a JSON schema"));
    }

    private static string ReadPrompt(ParseResult request)
    {
        var prompt = request.GetValue(Prompt);
        if (request.GetValue(PromptFile) is not { } file) return prompt ?? "";
        if (prompt is not null) throw new InputException("--prompt and --prompt-file: both give the prompt; leave one out.");
        return Utf8File.Read(file, "the prompt");
    }

    private static void RefuseWhatDoesNotGoTogether(ParseResult request)
    {
        foreach (var (option, others) in Conflicts)
            if (IsGiven(request, option) && others.Where(other => IsGiven(request, other)).ToArray() is { Length: > 0 } found)
                throw new InputException($"{string.Join(", ", found.Select(other => other.Name))}: means nothing beside {option.Name}; leave one out.");
        foreach (var (option, needed) in Needs)
            if (IsGiven(request, option) && !IsGiven(request, needed)) throw new InputException($"{option.Name}: means nothing without {needed.Name}.");
    }

    private static bool IsGiven(ParseResult request, Option option) => request.GetResult(option) is { Implicit: false };

    private static double SinceProcessStart() => (DateTime.Now - Process.GetCurrentProcess().StartTime).TotalSeconds;
}
