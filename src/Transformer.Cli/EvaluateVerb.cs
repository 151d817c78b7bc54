using System.CommandLine;
using Transformer.Configuration;
using Transformer.Data;
using Transformer.Evaluation;
using Transformer.Inference.Torch;
using Transformer.Onnx;
using Transformer.Runs;
using Transformer.Tokenization;
using static TorchSharp.torch;

namespace Transformer.Cli;

/// <summary><c>evaluate</c>: how well models predict a text, or solve the task that they were trained on.</summary>
internal static class EvaluateVerb
{
    private const int RowsAtOnce = 64;

    private static readonly Argument<string[]> Models = new("PATH")
    {
        Description = "Runs, checkpoints, .safetensors or .gguf files, or folders with ONNX models.",
        Arity = ArgumentArity.OneOrMore,
    };

    private static readonly Option<string?> Data = new("--data")
    {
        Description = "The text, or builtin:NAME; default: each run's own validation text or task.",
        HelpName = "FILE",
    };

    private static readonly Option<string[]> Set = new("--set")
    {
        Description =
            "Measure on other data of the run's kind: a data key of its configuration, such as data.task.pairs=8; may be given again.",
        HelpName = "KEY=VALUE",
        DefaultValueFactory = _ => [],
    };

    /// <summary>The verb.</summary>
    public static Command Create()
    {
        var verb = new Command("evaluate", "Measures how well models predict a text or solve their task.")
        {
            Models, Data, Set, SharedOptions.Threads, SharedOptions.Device, SharedOptions.Json,
        };
        verb.SetAction((request, cancellation) => Task.FromResult(Run(request, cancellation)));
        return verb;
    }

    private static int Run(ParseResult request, CancellationToken cancellation)
    {
        SharedOptions.UseThreads(request);
        var given = request.GetValue(Data) is { } path ? TextSource.At(path) : null;
        var overrides = request.GetRequiredValue(Set);
        if (overrides.FirstOrDefault(set => given is not null || !set.StartsWith("data.", StringComparison.Ordinal)) is { } misplaced)
            throw new InputException(
                $"--set {misplaced}: changes what a run is measured on, so it takes keys that begin with data. and goes without --data.");
        var device = SharedOptions.DeviceOf(request);
        Line[] lines = [.. request.GetRequiredValue(Models).Select(model => Measure(model, given, overrides, device, cancellation))];
        var output = request.InvocationConfiguration.Output;
        if (request.GetValue(SharedOptions.Json))
        {
            ScriptJson.Write(output, lines);
            return CommandLine.Done;
        }
        var width = Math.Max("model".Length, lines.Max(line => line.Model.Length));
        output.WriteLine($"{"model".PadRight(width)}     loss  perplexity  bits/byte  accuracy      tokens");
        foreach (var line in lines)
        {
            var bits = line.BitsPerByte is { } value ? $"{value:f4}" : "-";
            output.WriteLine($"{line.Model.PadRight(width)}  {line.Loss,7:f4}  {line.Perplexity,10:g5}  {bits,9}  {line.Accuracy,8:f4}  " +
                $"{line.Tokens,10:n0}");
        }
        return CommandLine.Done;
    }

    private static Line Measure(string path, TextSource? given, string[] overrides, Device device, CancellationToken cancellation)
    {
        var (result, bytes) = OnnxInferenceModel.IsAt(path) ? WithOnnx(path, given, cancellation)
            : WithOurs(path, given, overrides, device, cancellation);
        if (!double.IsFinite(result.Perplexity))
            throw new InvalidOperationException(
                $"{path}: the loss is {result.Loss}; its weights are damaged, or its training has diverged.");
        return new(
            path, result.Loss, result.Perplexity, bytes is { } length ? result.BitsPerByte(length) : null, result.Accuracy, result.Tokens,
            bytes);
    }

    private static (EvaluationResult Result, long? Bytes) WithOurs(
        string path, TextSource? given, string[] overrides, Device device, CancellationToken cancellation)
    {
        using var loaded = LoadedModel.Open(path, device);
        return given is null
            ? OnItsOwn(path, loaded, overrides, cancellation)
            : OnText(path, given, loaded.Tokenizer, text => text.Measure(loaded.Model, cancellation));
    }

    private static (EvaluationResult Result, long? Bytes) WithOnnx(string path, TextSource? given, CancellationToken cancellation)
    {
        using var model = OnnxInferenceModel.Open(path);
        if (given is null || model.Tokenizer is not { } tokenizer)
            throw new InputException(
                $"{path}: is an ONNX model, which is measured on a text by its own tokenizer.json. Name a text with --data FILE.");
        return OnText(path, given, tokenizer, text => OnnxEvaluation.Measure(model, text, cancellation));
    }

    private static (EvaluationResult Result, long? Bytes) OnText(
        string path, TextSource source, Tokenizer tokenizer, Func<TextEvaluation, EvaluationResult> measure)
    {
        try
        {
            using var text = TextEvaluation.Of(source, tokenizer);
            return (measure(text), text.Bytes);
        }
        catch (InputException e)
        {
            throw new InputException($"{path} on {source.Name}: {e.Message}", e);
        }
    }

    // A run knows which part of its text it was not trained on, or which rows of its task.
    private static (EvaluationResult Result, long? Bytes) OnItsOwn(
        string run, LoadedModel loaded, string[] overrides, CancellationToken cancellation)
    {
        var config = Path.Combine(run, "config.yaml");
        if (!File.Exists(config))
            throw new InputException(
                $"{run}: is no run (no config.yaml), so its validation data are not known. Name a text with --data FILE.");
        using var data = Dataset.Open(ConfigFile.Load(config, overrides).Data);
        data.RequireContext(loaded.Model.Config.ContextLength);
        if (!Words(data.Tokenizer).SequenceEqual(Words(loaded.Tokenizer)))
            throw new InputException(overrides.Length > 0
                ? $"{run}: was trained with other tokens than --set {string.Join(" --set ", overrides)} needs; " +
                    "what is measured must have the same."
                : $"{run}: was trained with other tokens than its data gives now; the data has changed since. " +
                    "Name a text with --data FILE.");
        if (data is not Corpus corpus)
            return (ModelEvaluation.Measure(loaded.Model, data.HeldOut(RowsAtOnce, loaded.Model.Config.ContextLength), cancellation), null);
        return (new TextEvaluation(corpus.Validation, corpus.ValidationBytes).Measure(loaded.Model, cancellation), corpus.ValidationBytes);
    }

    private static IEnumerable<string> Words(Tokenizer tokenizer) =>
        Enumerable.Range(0, tokenizer.VocabularySize).Select(id => tokenizer.Decode([id]));

    private sealed record Line(
        string Model, double Loss, double Perplexity, double? BitsPerByte, double Accuracy, long Tokens, long? Bytes);
}
