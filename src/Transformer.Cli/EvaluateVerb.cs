using System.CommandLine;
using System.Globalization;
using Transformer.Configuration;
using Transformer.Data;
using Transformer.Evaluation;
using Transformer.Inference.Torch;
using Transformer.Onnx;
using Transformer.Runs;
using Transformer.Tokenization;
using Transformer.Training;
using static TorchSharp.torch;

namespace Transformer.Cli;

/// <summary><c>evaluate</c>: how well models predict a text, or solve the task that they were trained on.</summary>
internal static class EvaluateVerb
{
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

    private static readonly Option<Precision?> PrecisionOption = new("--precision")
    {
        Description = $"The type of matrix products: {string.Join(", ", ScriptJson.Names<Precision>())}; " +
            "default: that in which a run was trained, fp32 for other models.",
        HelpName = "TYPE",
        CustomParser = result => ScriptJson.Parse<Precision>("--precision", result) is [var precision] ? precision : null,
    };

    private static readonly Option<string?> ByPosition = new("--by-position")
    {
        Description = "Read the text as one stream, and draw the mean loss at each place of a segment (of the context, for a model " +
            "without memory) into this picture.",
        HelpName = "FILE.svg",
    };

    private static readonly Option<bool> Groups = new("--groups")
    {
        Description = "Show how often the hourglasses end a group, and how well their boundaries agree with white space.",
    };

    /// <summary>The verb.</summary>
    public static Command Create()
    {
        var verb = new Command("evaluate", "Measures how well models predict a text or solve their task.")
        {
            Models, Data, Set, ByPosition, Groups, PrecisionOption, SharedOptions.Threads, SharedOptions.Device, SharedOptions.Json,
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
        if (request.GetValue(Groups))
        {
            if (overrides.Length > 0 || request.GetValue(PrecisionOption) is not null || request.GetValue(ByPosition) is not null)
                throw new InputException("--groups: reads a text in fp32; leave out --set, --precision and --by-position, or this.");
            return EvaluateGroups.Run(request, request.GetRequiredValue(Models), given, cancellation);
        }
        if (request.GetValue(ByPosition) is { } picture)
        {
            if (overrides.Length > 0 || request.GetValue(PrecisionOption) is not null)
                throw new InputException("--by-position: reads a text in fp32; leave out --set and --precision, or this.");
            return EvaluatePositions.Run(request, request.GetRequiredValue(Models), given, picture, cancellation);
        }
        var device = SharedOptions.DeviceOf(request);
        var precision = request.GetValue(PrecisionOption);
        var (output, error) = (request.InvocationConfiguration.Output, request.InvocationConfiguration.Error);
        Line[] lines = [.. request.GetRequiredValue(Models).Select(
            model => Measure(model, given, overrides, device, precision, error, cancellation))];
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
        foreach (var line in lines.Where(line => line.Rows is not null))
        {
            var sorts = line.Rows!.Select(sort => string.Create(CultureInfo.InvariantCulture, $"{sort.Key} {sort.Value:f4}"));
            output.WriteLine($"{line.Model}: rows right in all of their answers: {string.Join(", ", sorts)}");
        }
        return CommandLine.Done;
    }

    private static Line Measure(
        string path, TextSource? given, string[] overrides, Device device, Precision? precision, TextWriter error,
        CancellationToken cancellation)
    {
        var isOnnx = OnnxInferenceModel.IsAt(path);
        if (isOnnx && precision is not null)
            throw new InputException($"--precision: {path} is an ONNX model, which computes in the types of its graph; leave it out.");
        var used = isOnnx ? (Precision?)null : precision ?? OfTraining(path, device, error);
        var (result, bytes) = used is { } type ? WithOurs(path, given, overrides, device, type, cancellation)
            : WithOnnx(path, given, cancellation);
        if (!double.IsFinite(result.Perplexity))
            throw new InvalidOperationException(
                $"{path}: the loss is {result.Loss}; its weights are damaged, or its training has diverged.");
        return new(
            path, result.Loss, result.Perplexity, bytes is > 0 and { } length ? result.BitsPerByte(length) : null, result.Accuracy,
            result.Tokens, bytes, used, result.Rows);
    }

    // The precision in which the run of a model was trained, and so validated; fp32 for a model without a run.
    private static Precision OfTraining(string path, Device device, TextWriter error)
    {
        if (RunFolder.ConfigOf(path) is not { } config) return Precision.Fp32;
        var trained = ConfigFile.Load(config, []).Training.Precision;
        if (trained == Precision.Fp32) return trained;
        if (trained == Precision.Tf32 && device.type != TorchSharp.DeviceType.CUDA)
        {
            error.WriteLine($"{path}: was trained in tf32, which {device} does not have; measured in fp32.");
            return Precision.Fp32;
        }
        error.WriteLine($"{path}: measured in {ScriptJson.Name(trained)}, as it was trained; for fp32 add --precision fp32.");
        return trained;
    }

    private static (EvaluationResult Result, long? Bytes) WithOurs(
        string path, TextSource? given, string[] overrides, Device device, Precision precision, CancellationToken cancellation)
    {
        using var loaded = LoadedModel.Open(path, device);
        loaded.Model.Precision = precision;
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
        var path = RunFolder.ConfigOf(run) ?? throw new InputException(
            $"{run}: is no run (no config.yaml), so its validation data are not known. Name a text with --data FILE.");
        var config = ConfigFile.Load(path, overrides);
        using var data = Dataset.Open(config.Data);
        data.RequireContext(config with { Model = loaded.Model.Config });
        if (!Words(data.Tokenizer).SequenceEqual(Words(loaded.Tokenizer)))
            throw new InputException(overrides.Length > 0
                ? $"{run}: was trained with other tokens than --set {string.Join(" --set ", overrides)} needs; " +
                    "what is measured must have the same."
                : $"{run}: was trained with other tokens than its data gives now; the data has changed since. " +
                    "Name a text with --data FILE.");
        // The batches of the run's own validation, so that the last digits are its too.
        var heldOut = data.HeldOut(loaded.Model.Config, config.Training.BatchSize);
        var result = ModelEvaluation.Measure(loaded.Model, heldOut, cancellation);
        return (result, data is Corpus corpus ? TextEvaluation.Of(corpus).Bytes : null);
    }

    private static IEnumerable<string> Words(Tokenizer tokenizer) =>
        Enumerable.Range(0, tokenizer.VocabularySize).Select(id => tokenizer.Decode([id]));

    private sealed record Line(
        string Model, double Loss, double Perplexity, double? BitsPerByte, double Accuracy, long Tokens, long? Bytes,
        Precision? Precision, IReadOnlyDictionary<string, double>? Rows);
}
