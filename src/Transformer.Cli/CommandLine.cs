using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;
using System.CommandLine.Parsing;
using System.Runtime.InteropServices;
using Transformer.Configuration;
using Transformer.Distributed;
using Transformer.Files;
using Transformer.Layers;
using Transformer.Native;

namespace Transformer.Cli;

/// <summary>Runs a verb and reports the outcome as an exit code and, if it fails, one or two lines on standard error.</summary>
internal static class CommandLine
{
    /// <summary>The verb has succeeded.</summary>
    public const int Done = 0;

    /// <summary>The verb has failed.</summary>
    public const int Failed = 1;

    /// <summary>The request was wrong: arguments, configuration or files.</summary>
    public const int Refused = 2;

    /// <summary>The user interrupted the verb; what it had is saved.</summary>
    public const int Interrupted = 130;

    private static readonly string[] Paths = ["FILE", "FILE.dll", "DIR", "PATH", "SOURCE", "RECIPE|FILE", "DB"];

    // Loading it takes a moment; and doctor reports why it does not load.
    private static readonly string[] WithoutLibTorch = [
        "recipes", "config", "data", "doctor", InitVerb.Name, ReportVerb.Name, MemoryVerb.Name];

    // A text that begins with @ is that text, not the name of a file with arguments.
    private static readonly ParserConfiguration Literal = new() { ResponseFileTokenReplacer = null };

    /// <summary>The request that arguments stand for, which may be wrong.</summary>
    /// <param name="root">The command with all verbs.</param>
    /// <param name="arguments">What follows the command's name.</param>
    public static ParseResult Parse(Command root, IReadOnlyList<string> arguments) => root.Parse(arguments, Literal);

    /// <summary>Parses the arguments and runs the verb that they name.</summary>
    /// <param name="root">The command with all verbs.</param>
    /// <param name="arguments">What follows the command's name.</param>
    /// <param name="output">Where results go.</param>
    /// <param name="error">Where everything else goes.</param>
    /// <returns>The exit code.</returns>
    public static async Task<int> RunAsync(Command root, string[] arguments, TextWriter output, TextWriter error)
    {
        var request = Parse(root, arguments);
        if (ProblemOf(request) is not null) return Refuse(request, error);

        using var interruption = new CancellationTokenSource();
        using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Cancel);
        using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Cancel);
        try
        {
            var configuration = new InvocationConfiguration
            {
                Output = output,
                Error = error,
                EnableDefaultExceptionHandler = false,
                ProcessTerminationTimeout = null,
            };
            // Where libtorch does not load, TorchSharp says so at length and on standard output; here it is one line.
            LibTorch.IsDeferred = VerbOf(request) == GenerateVerb.Name && Launch.Ranks == 1;
            if (!LibTorch.IsDeferred && NeedsLibTorch(request)) LibTorch.Load();
            foreach (var path in request.GetValue(SharedOptions.Kinds) ?? []) Kinds.Load(path);
            return await request.InvokeAsync(configuration, interruption.Token).ConfigureAwait(false);
        }
        catch (Exception failure)
        {
            return Report(failure, error, request.GetValue(SharedOptions.Verbose));
        }

        // The first signal asks the verb to save and stop; the second ends the process at once. While a pipe or a
        // device is read, the first one ends it too: the read may never return, and there is nothing to save.
        void Cancel(PosixSignalContext signal)
        {
            signal.Cancel = !interruption.IsCancellationRequested && !WholeFile.IsWaiting;
            interruption.Cancel();
        }
    }

    /// <summary>
    /// The exit code of a failure, and its message. Where another rank reports it, that rank's exit code is the one that the launcher sees.
    /// </summary>
    public static (int Code, string Message) Describe(Exception failure) => failure switch
    {
        CollectiveException { InnerException: { } cause } => (Describe(cause).Code, failure.Message),
        CollectiveException => (Done, ""),
        InputException => (Refused, failure.Message),
        OperationCanceledException when failure.Message == new OperationCanceledException().Message => (Interrupted, "interrupted"),
        OperationCanceledException => (Interrupted, failure.Message),
        OutputException { IsClosedPipe: true } => (Done, ""),
        TypeInitializationException { InnerException: { } cause } => (Failed, Describe(cause).Message),
        FileNotFoundException { FileName: { } assembly } when assembly.Contains(", Version=") => (Failed,
            $"{assembly.Split(',')[0]} cannot be loaded. Raise the limit of open files (ulimit -n), or install the command again."),
        _ => (Failed, failure.Message.ReplaceLineEndings(" ")),
    };

    /// <summary>Why a request names no verb, or gives it what it does not take; null where it can be run.</summary>
    public static string? ProblemOf(ParseResult request)
    {
        if ((WrongValue(request) ?? EmptyPath(request)) is { } wrong) return wrong;
        return request.Action is null or ParseErrorAction || (request.Errors.Count == 0 && Stray(request) is not null)
            ? Stray(request) is { } stray ? Unknown(stray, request) : request.Errors[0].Message
            : null;
    }

    private static bool NeedsLibTorch(ParseResult request) =>
        request.Action is not HelpAction && VerbOf(request) is { } verb && !WithoutLibTorch.Contains(verb);

    private static string? VerbOf(ParseResult request) => Lineage(request).Skip(1).FirstOrDefault()?.Name;

    private static int Report(Exception failure, TextWriter error, bool verbose)
    {
        var (code, message) = Describe(failure);
        if (message.Length > 0) error.WriteLine(verbose ? failure.ToString() : message);
        return code;
    }

    private static int Refuse(ParseResult request, TextWriter error)
    {
        var help = ShellCommand.Of([.. Lineage(request).Skip(1).Select(command => command.Name), "--help"]);
        var refusal = new InputException(WrongValue(request) ?? $"{ProblemOf(request)}\nSee {help}.");
        try
        {
            if (Launch.Ranks == 1 || request.CommandResult.Command.Name is not (TrainVerb.Name or GenerateVerb.Name)) throw refusal;
            // Ranks whose arguments were right wait for this one to join, and hear of the failure then.
            LibTorch.Load();
            using var ranks = Launch.Join(error, request.CommandResult.Command.Name, refusal);
            throw refusal;
        }
        catch (Exception failure)
        {
            return Report(failure, error, verbose: false);
        }
    }

    // Why an option does not take the value that it was given; null where all do.
    private static string? WrongValue(ParseResult request) => request.Errors.FirstOrDefault(
        error => (error.SymbolResult as OptionResult ?? error.SymbolResult?.Parent as OptionResult) is { Tokens.Count: > 0 })?.Message;

    // An empty path, such as that of a variable which is not set; null where there is none.
    private static string? EmptyPath(ParseResult request) => request.CommandResult.Children.Select(given => given switch
    {
        OptionResult { Tokens: [{ Value: "" }], Option: { HelpName: { } kind, Name: var name } } when Paths.Contains(kind) =>
            $"{name}: found nothing, expected {kind}.",
        ArgumentResult { Argument.Name: var kind } argument when Paths.Contains(kind) && argument.Tokens.Any(token => token.Value == "") =>
            $"found nothing, expected {kind}.",
        _ => null,
    }).FirstOrDefault(problem => problem is not null);

    private static string Unknown(string token, ParseResult request)
    {
        var isOption = token.StartsWith('-');
        var options = Lineage(request).SelectMany(verb => verb.Options).Select(option => option.Name);
        string[] known = [.. isOption ? options : request.CommandResult.Command.Subcommands.Select(verb => verb.Name)];
        var nearest = Spelling.Nearest(token, known);
        return $"{token}: unknown {(isOption ? "option" : known.Length > 0 ? "verb" : "argument")}"
            + (nearest is null ? "" : $"; did you mean {nearest}?");
    }

    // A token that no verb, option or argument takes. An unknown option is taken by an argument, where there is one.
    private static string? Stray(ParseResult request) =>
        request.CommandResult.Children.OfType<ArgumentResult>().SelectMany(argument => argument.Tokens).Select(token => token.Value)
            .FirstOrDefault(value => value.StartsWith("--")) ?? (request.UnmatchedTokens is [var first, ..] ? first : null);

    // The named command, below its parents.
    private static Stack<Command> Lineage(ParseResult request)
    {
        var lineage = new Stack<Command>();
        for (SymbolResult? at = request.CommandResult; at is CommandResult result; at = at.Parent) lineage.Push(result.Command);
        return lineage;
    }
}
