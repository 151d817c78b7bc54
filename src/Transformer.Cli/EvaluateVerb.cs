using System.CommandLine;
using Transformer.Configuration;
using Transformer.Data;
using Transformer.Evaluation;
using Transformer.Generation;

namespace Transformer.Cli;

/// <summary><c>evaluate</c>: how well models predict a text.</summary>
internal static class EvaluateVerb
{
    private static readonly Argument<string[]> Models = new("PATH")
    {
        Description = "Runs, checkpoints or .safetensors files.",
        Arity = ArgumentArity.OneOrMore,
    };

    private static readonly Option<string?> Data = new("--data")
    {
        Description = "The text, or builtin:NAME; where absent each run's own validation text.",
        HelpName = "FILE",
    };

    /// <summary>The verb.</summary>
    public static Command Create()
    {
        var verb = new Command("evaluate", "Measures how well models predict a text.") { Models, Data, SharedOptions.Threads, SharedOptions.Json };
        verb.SetAction((request, cancellation) => Task.FromResult(Run(request, cancellation)));
        return verb;
    }

    private static int Run(ParseResult request, CancellationToken cancellation)
    {
        SharedOptions.UseThreads(request);
        var given = request.GetValue(Data) is { } path ? TextSource.At(path) : null;
        Line[] lines = [.. request.GetRequiredValue(Models).Select(model => Measure(model, given, cancellation))];
        var output = request.InvocationConfiguration.Output;
        if (request.GetValue(SharedOptions.Json))
        {
            ScriptJson.Write(output, lines);
            return CommandLine.Done;
        }
        var width = Math.Max("model".Length, lines.Max(line => line.Model.Length));
        output.WriteLine($"{"model".PadRight(width)}     loss  perplexity  bits/byte      tokens");
        foreach (var line in lines)
            output.WriteLine($"{line.Model.PadRight(width)}  {line.Loss,7:f4}  {line.Perplexity,10:g5}  {line.BitsPerByte,9:f4}  {line.Tokens,10:n0}");
        return CommandLine.Done;
    }

    private static Line Measure(string path, TextSource? given, CancellationToken cancellation)
    {
        using var loaded = LoadedModel.Open(path);
        using var text = given is null ? OwnText(path) : Text(path, given, loaded);
        var result = text.Measure(loaded.Model, cancellation);
        if (!double.IsFinite(result.Perplexity))
            throw new InvalidOperationException($"{path}: the loss is {result.Loss}; its weights are damaged, or its training has diverged.");
        return new(path, result.Loss, result.Perplexity, result.BitsPerByte(text.Bytes), result.Tokens, text.Bytes);
    }

    private static TextEvaluation Text(string path, TextSource text, LoadedModel loaded)
    {
        try
        {
            return TextEvaluation.Of(text, loaded.Tokenizer);
        }
        catch (InputException e)
        {
            throw new InputException($"{path} on {text.Name}: {e.Message}", e);
        }
    }

    // A run knows which part of its text it was not trained on.
    private static TextEvaluation OwnText(string run)
    {
        var config = Path.Combine(run, "config.yaml");
        if (!File.Exists(config)) throw new InputException($"{run}: is no run (no config.yaml), so its validation text is not known. Name a text with --data FILE.");
        var corpus = Corpus.Open(ConfigFile.Load(config, []).Data);
        corpus.Training.Dispose();
        return new(corpus.Validation, corpus.ValidationBytes);
    }

    private sealed record Line(string Model, double Loss, double Perplexity, double BitsPerByte, long Tokens, long Bytes);
}
