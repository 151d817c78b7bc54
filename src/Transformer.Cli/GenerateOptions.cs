using System.CommandLine;
using Transformer.Configuration;
using Transformer.Files;
using Transformer.Generation;
using Transformer.Generation.Constraints;

namespace Transformer.Cli;

/// <summary>The options of <c>generate</c>, and which of them exclude each other.</summary>
internal static class GenerateOptions
{
    /// <summary>The draft tokens of a pass with --draft, by default.</summary>
    public const int DefaultDraftTokens = 4;

    /// <summary>The most samples of one prompt, or of all prompts of a file.</summary>
    public const int MostSamples = 100_000;

    /// <summary>The most texts that are generated at once.</summary>
    public const int MostRows = 1024;

    private static readonly SamplingOptions Defaults = new();

    public static readonly Argument<string> Source = new("PATH")
    {
        Description = "A run's folder, a checkpoint's folder, a .safetensors or .gguf file, or a folder with an ONNX model."
    };
    public static readonly Option<string?> Prompt = new("--prompt")
    {
        Description = "The text to continue; default: none.",
        HelpName = "TEXT",
    };

    public static readonly Option<string?> PromptFile = new("--prompt-file")
    {
        Description = "The file with the text to continue.",
        HelpName = "FILE",
    };

    public static readonly Option<string[]> Image = new("--image")
    {
        Description = "A PNG or JPEG file, in the place of an <image> of the prompt, or before the prompt; may be given again.",
        HelpName = "FILE",
        DefaultValueFactory = _ => [],
    };

    public static readonly Option<int> MaxTokens = new Option<int>("--max-tokens")
    {
        Description = "The greatest number of tokens per sample.",
        HelpName = "N",
        DefaultValueFactory = _ => Defaults.MaxTokens,
    }.Whole(1, int.MaxValue);

    public static readonly Option<bool> Greedy = new("--greedy") { Description = "Always take the most probable token." };

    public static readonly Option<double> Temperature = new Option<double>("--temperature")
    {
        Description = "What logits are divided by; 0 is greedy.",
        HelpName = "X",
        DefaultValueFactory = _ => Defaults.Temperature,
    }.Real(0, SamplingOptions.HighestTemperature);

    public static readonly Option<int?> TopK = new Option<int?>("--top-k")
    {
        Description = "Draw from the K most probable tokens only.",
        HelpName = "K"
    }.Whole(1, int.MaxValue);
    public static readonly Option<double?> TopP = new Option<double?>("--top-p")
    {
        Description = "Draw from the fewest tokens with probability P together.",
        HelpName = "P",
    }.Real(0, 1, isOpen: true);

    public static readonly Option<double?> MinP = new Option<double?>("--min-p")
    {
        Description = "Draw from tokens at least P times as probable as the most probable one.",
        HelpName = "P",
    }.Real(0, 1);

    public static readonly Option<double> RepetitionPenalty = new Option<double>("--repetition-penalty")
    {
        Description = "Make tokens that occurred less likely; 1 is off.",
        HelpName = "X",
        DefaultValueFactory = _ => Defaults.RepetitionPenalty,
    }.Real(SamplingOptions.LeastPenalty, SamplingOptions.GreatestPenalty, advice: "1 is off");

    public static readonly Option<string[]> Stop = new("--stop")
    {
        Description = "A text that ends a sample; may be given again.",
        HelpName = "TEXT",
        DefaultValueFactory = _ => [],
    };

    public static readonly Option<string?> Regex = new("--regex")
    {
        Description = "Generate only what matches this regular expression as a whole.",
        HelpName = "PATTERN",
    };

    public static readonly Option<string?> JsonSchema = new("--json-schema")
    {
        Description = "Generate only JSON that is valid by this schema: a file, or the schema itself, which begins with a brace.",
        HelpName = "FILE|TEXT",
    };

    public static readonly Option<long> Seed = new Option<long>("--seed")
    {
        Description = "Where the random numbers start.",
        HelpName = "N",
        DefaultValueFactory = _ => Defaults.Seed,
    }.Whole(long.MinValue, long.MaxValue);

    public static readonly Option<int> Count = new Option<int>("--count")
    {
        Description = "The number of samples, made in one batch.",
        HelpName = "N",
        DefaultValueFactory = _ => 1,
    }.Whole(1, MostSamples, "for more, run again with another --seed");

    public static readonly Option<int?> DraftTokens = new Option<int?>("--draft-tokens")
    {
        Description = "Speculative decoding with up to N draft tokens per pass, from the text itself or from --draft (then default: " +
            $"{DefaultDraftTokens}); changes the pace, not how likely a text is.",
        HelpName = "N",
    }.Whole(0, TextGenerator.MostDraftTokens);

    public static readonly Option<string?> Draft = new("--draft")
    {
        Description = "A smaller model of the same tokenizer that proposes draft tokens.",
        HelpName = "PATH",
    };

    public static readonly Option<string?> Prompts = new("--prompts")
    {
        Description = "A file with many prompts: one per line or, of a .jsonl file, one object per line with the prompt and options of " +
            "its own, {\"prompt\": \"Once\", \"seed\": 3}.",
        HelpName = "FILE",
    };

    public static readonly Option<int> Parallel = new Option<int>("--parallel")
    {
        Description = "How many of --prompts are continued at once.",
        HelpName = "N",
        DefaultValueFactory = _ => 8,
    }.Whole(1, MostRows, "each has a state of its own in memory");

    public static readonly Option<int?> Beams = new Option<int?>("--beams")
    {
        Description = "Search for the most probable text among the N best of each length, instead of drawing tokens.",
        HelpName = "N",
    }.Whole(1, MostRows, "each has a state of its own in memory");

    public static readonly Option<double> LengthPenalty = new Option<double>("--length-penalty")
    {
        Description = "The power of its length by which a beam's log-probability is divided: 0 prefers short texts, 1 takes the mean.",
        HelpName = "X",
        DefaultValueFactory = _ => 1,
    }.Real(-BeamSearch.StrongestLengthPenalty, BeamSearch.StrongestLengthPenalty);

    public static readonly Option<ContextPolicy?> ContextPolicy = NewContextPolicy();

    public static readonly Option<string?> SaveState = new("--save-state")
    {
        Description = "The file to save the text's state to at the end, so that --state goes on with it.",
        HelpName = "FILE",
    };

    public static readonly Option<string?> State = new("--state")
    {
        Description = "A file that --save-state wrote: goes on with its text, after --prompt where that is given. How tokens are chosen " +
            "is as it was, but for the options that are given.",
        HelpName = "FILE",
    };

    public static readonly Option<bool> TensorParallel = new("--tensor-parallel")
    {
        Description = "Share the model with the other ranks of mpirun, each with its part of the heads and hidden units.",
    };

    // For each option those that it excludes.
    private static readonly Dictionary<Option, Option[]> Conflicts = new()
    {
        [Greedy] = [Temperature, TopK, TopP, MinP],
        [Image] = [Prompts, Beams, SaveState, State, TensorParallel, GenerateMemory.Memory],
        [Prompts] = [Prompt, PromptFile, DraftTokens, Draft, Beams, ContextPolicy, SaveState, State, GenerateMemory.Memory],
        [Beams] =
        [
            Greedy, Temperature, TopK, TopP, MinP, RepetitionPenalty, Stop, Regex, JsonSchema, Seed, DraftTokens, Draft, ContextPolicy,
            SaveState, State,
        ],
        [SaveState] = [DraftTokens, Draft, TensorParallel, GenerateMemory.Memory],
        [State] = [DraftTokens, Draft, TensorParallel, GenerateMemory.Memory],
    };

    private static readonly Dictionary<Option, Option> Needs = new()
    {
        [Parallel] = Prompts,
        [LengthPenalty] = Beams,
        [GenerateMemory.Conversation] = GenerateMemory.Memory,
        [GenerateMemory.Budget] = GenerateMemory.Memory,
    };

    /// <summary>How tokens are chosen.</summary>
    /// <exception cref="InputException">The constraint is wrong.</exception>
    public static SamplingOptions Sampling(ParseResult request) => Sampling(request, Defaults);

    /// <summary>How the tokens of a text are chosen that goes on: as before, but for what the request says. The number of tokens is the
    /// request's.</summary>
    /// <param name="request">The request.</param>
    /// <param name="earlier">How they were chosen before.</param>
    /// <exception cref="InputException">The constraint is wrong.</exception>
    public static SamplingOptions Sampling(ParseResult request, SamplingOptions earlier)
    {
        return new()
        {
            Temperature = request.GetValue(Greedy) ? 0 : Given(Temperature, earlier.Temperature),
            TopK = Given(TopK, earlier.TopK),
            TopP = Given(TopP, earlier.TopP),
            MinP = Given(MinP, earlier.MinP),
            RepetitionPenalty = Given(RepetitionPenalty, earlier.RepetitionPenalty),
            Seed = Given(Seed, earlier.Seed),
            MaxTokens = request.GetValue(MaxTokens),
            Stop = Given(Stop, [.. earlier.Stop])!,
            Constraint = Constraint(request.GetValue(Regex), request.GetValue(JsonSchema)) ?? earlier.Constraint,
        };

        T? Given<T>(Option<T> option, T? otherwise) => IsGiven(request, option) ? request.GetValue(option) : otherwise;
    }

    private static Option<ContextPolicy?> NewContextPolicy()
    {
        var names = ScriptJson.Names<ContextPolicy>();
        var option = new Option<ContextPolicy?>("--context-policy")
        {
            Description = "What is kept of a text that is longer than the context: slide, its last half; sinks, its first four tokens " +
                "and its last; turns, its first turn and its last ones, whole, of lines `role: text`; stop, all: the text ends there. " +
                "Default: what is generated slides, and a longer prompt is refused.",
            HelpName = string.Join('|', names),
            CustomParser = result => ScriptJson.Parse<ContextPolicy>("--context-policy", result) is [var one] ? one : null,
        };
        option.CompletionSources.Add([.. names]);
        return option;
    }

    private static TextConstraint? Constraint(string? pattern, string? schema)
    {
        if (pattern is not null && schema is not null)
            throw new InputException("--regex and --json-schema: both say what may be generated; leave one out.");
        return pattern is not null ? TextConstraint.Regex(pattern)
            : schema is null ? null
            : TextConstraint.JsonSchema(schema.TrimStart().StartsWith('{') ? schema : Utf8File.Read(schema, "a JSON schema"));
    }

    /// <summary>The text to continue.</summary>
    /// <exception cref="InputException">Its file cannot be read, or it is given twice.</exception>
    public static string ReadPrompt(ParseResult request)
    {
        var prompt = request.GetValue(Prompt);
        if (request.GetValue(PromptFile) is not { } file) return prompt ?? "";
        if (prompt is not null) throw new InputException("--prompt and --prompt-file: both give the prompt; leave one out.");
        return Utf8File.Read(file, "the prompt");
    }

    /// <summary>Throws where options were given that mean nothing together.</summary>
    public static void RefuseWhatDoesNotGoTogether(ParseResult request)
    {
        foreach (var (option, others) in Conflicts)
            if (IsGiven(request, option) && others.Where(other => IsGiven(request, other)).ToArray() is { Length: > 0 } found)
                throw new InputException(
                    $"{string.Join(", ", found.Select(other => other.Name))}: means nothing beside {option.Name}; leave one out.");
        var (file, count) = (IsGiven(request, State) ? State : SaveState, request.GetValue(Count));
        if (IsGiven(request, file) && count > 1)
            throw new InputException($"--count: found {count}, but {file.Name} holds one text; leave one of the two out.");
        if (IsGiven(request, State) && !IsAnyGiven(Prompt, PromptFile) && IsAnyGiven(Regex, JsonSchema))
            throw new InputException(
                "--regex, --json-schema: hold from the beginning of a continuation; give them together with --prompt.");
        foreach (var (option, needed) in Needs)
            if (IsGiven(request, option) && !IsGiven(request, needed))
                throw new InputException($"{option.Name}: means nothing without {needed.Name}.");

        bool IsAnyGiven(params Option[] options) => Array.Exists(options, option => IsGiven(request, option));
    }

    /// <summary>Whether an option stands in the request itself.</summary>
    public static bool IsGiven(ParseResult request, Option option) => request.GetResult(option) is { Implicit: false };
}
