using System.CommandLine;
using Transformer.Configuration;
using static TorchSharp.torch;

namespace Transformer.Cli;

/// <summary>Arguments and options that mean the same for every verb that has them.</summary>
internal static class SharedOptions
{
    /// <summary>Whether an error is followed by its stack trace; every verb has it.</summary>
    public static Option<bool> Verbose { get; } = new("--verbose") { Description = "Show the stack trace of an error.", Recursive = true };

    /// <summary>Whether one JSON object for scripts goes to standard output.</summary>
    public static Option<bool> Json { get; } = new("--json") { Description = "Print one JSON object on standard output." };

    /// <summary>Overrides of the configuration, in the order in which they are laid over it.</summary>
    public static Option<string[]> Set { get; } = new("--set")
    {
        Description = "Override a key, e.g. --set model.attention.heads=8; may be given again.",
        HelpName = "KEY=VALUE",
        DefaultValueFactory = _ => [],
    };

    /// <summary>How a model's matrices lie in memory while it writes.</summary>
    public static Option<string> Quantize { get; } = new("--quantize")
    {
        Description = "Pack the weights for writing: bf16, fp16, q8 or q4; none leaves them as they are.",
        HelpName = "FORMAT",
        DefaultValueFactory = _ => "none",
    };

    /// <summary>The threads that work.</summary>
    public static Option<int?> Threads { get; } = new("--threads")
    {
        Description = "The threads that work; as many as cores where absent.",
        HelpName = "N",
    };

    /// <summary>Lets libtorch use as many threads as the request says.</summary>
    /// <exception cref="InputException">They are none.</exception>
    public static void UseThreads(ParseResult request)
    {
        if (request.GetValue(Threads) is not { } threads) return;
        if (threads < 1) throw new InputException($"--threads: found {threads}, expected 1 or more.");
        set_num_threads(threads);
    }
}
