using System.CommandLine;
using Transformer.Checkpoints;
using Transformer.Configuration;
using Transformer.Data;
using Transformer.Distributed;
using Transformer.Evaluation;
using Transformer.Formats;
using Transformer.Formats.Gguf;
using Transformer.Inference.Torch;
using Transformer.Onnx;
using Transformer.Quantization;
using Transformer.Tokenization;
using static TorchSharp.torch;

namespace Transformer.Cli;

/// <summary><c>export</c>: writes a model for other tools, and reads it back to see that it is the same.</summary>
internal static class ExportVerb
{
    // The greatest allowed difference of two logits, relative to the greatest distance of a logit from the mean. Equal weights give equal
    // logits, weights of 11 and of 8 bits nearly so; four bits change a small model much, but far less than wrong rows or a lost tensor do.
    private static readonly Precision[] Precisions =
    [
        new("f32", GgufPrecision.F32, Tolerance: 1e-5),
        new("f16", GgufPrecision.F16, Tolerance: 0.01),
        new("q8", GgufPrecision.Q8, Tolerance: 0.05),
        new("q4", GgufPrecision.Q4, Tolerance: 0.5),
    ];

    private static readonly Format[] Formats =
    [
        new("safetensors", (model, path, precision, _) => WriteSafetensors(model, path, precision), ReadBack),
        new("gguf", (model, path, precision, _) => GgufModel.Write(
            path, model.Model.Config, model.Model.Weights.ToStored(), model.Tokenizer, precision.Gguf,
            model.ChatTemplate), ReadBack, Extension: GgufModel.Extension),
        new("onnx", WriteOnnx, ReadOnnxBack, Rounding: 1e-4, HasOperators: true),
    ];

    private static readonly Argument<string> Source = new("PATH")
    {
        Description = "A run's folder, a checkpoint's folder, a .safetensors or a .gguf file."
    };

    private static readonly Option<string> Kind = new("--format")
    {
        Description = "safetensors: a folder for Hugging Face's libraries; gguf: a file for llama.cpp; onnx: a folder for ONNX Runtime.",
        HelpName = string.Join('|', Formats.Select(format => format.Name)),
        Required = true,
    };

    private static readonly Option<string> Out = new("--out")
    {
        Description = "The new file, or folder for safetensors and onnx.",
        HelpName = "PATH",
        Required = true
    };

    private static readonly Option<string> Quantize = new("--quantize")
    {
        Description =
            "The format of matrices: float32, float16 (not in ONNX) or, in GGUF and ONNX, blocks of 8 or 4 bits per weight with a scale " +
            "each.",
        HelpName = string.Join('|', Precisions.Select(precision => precision.Name)),
        DefaultValueFactory = _ => Precisions[0].Name,
    };

    private static readonly Option<bool> Verify = new("--verify")
    {
        Description = "Read the file back, compare, and delete it if it differs too much; default: true.",
        DefaultValueFactory = _ => true,
    };

    private static readonly Option<string?> Evaluate = new("--evaluate")
    {
        Description = "A text on which both models are measured, or builtin:NAME.",
        HelpName = "FILE",
    };

    /// <summary>The verb.</summary>
    public static Command Create()
    {
        var verb = new Command("export", "Writes a model for other tools.")
        {
            Source, Kind, Out, Quantize, SharedOptions.Operators, Verify, Evaluate, SharedOptions.Json,
        };
        verb.SetAction((request, cancellation) => Task.FromResult(Run(request, cancellation)));
        return verb;
    }

    private static int Run(ParseResult request, CancellationToken cancellation)
    {
        var format = Named("--format", request.GetRequiredValue(Kind), Formats, format => format.Name);
        var precision = Named("--quantize", request.GetRequiredValue(Quantize), Precisions, precision => precision.Name);
        var operators = SharedOptions.OperatorsOf(request);
        var (path, error) = (request.GetRequiredValue(Out), request.InvocationConfiguration.Error);
        var source = request.GetValue(Evaluate) is { } given ? TextSource.At(given) : null;
        if (operators is not null && !format.HasOperators)
            throw new InputException(
                $"--operators: --format {format.Name} holds weights and no operators; take --format onnx, or leave it out.");
        if (Path.Exists(path)) throw new InputException($"{path}: already exists. Choose another --out.");
        if (format.Extension is { } extension && Path.GetExtension(path) != extension)
            throw new InputException($"--out: found {path}, expected a name that ends with {extension}.");

        using var original = LoadedModel.Open(request.GetRequiredValue(Source));
        using var text = source is null ? null : TextEvaluation.Of(source, original.Tokenizer);
        format.Write(original, path, precision, operators ?? OnnxOperators.Standard);
        var tolerance = Math.Max(precision.Tolerance, format.Rounding);
        var (copy, comparison) = ReadAgain(format, path, original, request.GetValue(Verify) ? tolerance : null, isWanted: text is not null);
        using var files = copy?.Model;

        var bytes = Size(path);
        error.WriteLine($"{path}: {Numbers.Bytes(bytes)}");
        NoteUnquantized(error, original, precision);
        if (format.HasOperators && OnnxFolder.GenAiObstacle(original.Model.Config, original.Tokenizer) is { } obstacle)
            error.WriteLine($"no genai_config.json: {obstacle}");
        if (comparison is not null)
            error.WriteLine($"read back: logits differ by {comparison.Difference:g3} at most, " +
                $"{comparison.Share:p3} of their range ({tolerance:p3} allowed); " +
                $"{comparison.Alike} of {comparison.Tokens} greedy tokens are the same");
        (double Before, double After)? bits = text is null ? null
            : (text.Measure(original.Model, cancellation).BitsPerByte(text.Bytes), BitsPerByte(source!, copy!, cancellation));
        if (bits is var (before, after)) error.WriteLine($"bits per byte: {before:f4} before, {after:f4} after");
        if (request.GetValue(SharedOptions.Json))
        {
            ScriptJson.Write(request.InvocationConfiguration.Output, new
            {
                Path = path,
                Bytes = bytes,
                GreatestDifference = comparison?.Difference,
                GreatestShare = comparison?.Share,
                Tolerance = tolerance,
                GreedyAlike = comparison?.Alike,
                GreedyTokens = comparison?.Tokens,
                BitsPerByteBefore = bits?.Before,
                BitsPerByteAfter = bits?.After,
            });
        }
        return CommandLine.Done;
    }

    private static void NoteUnquantized(TextWriter error, LoadedModel model, Precision precision)
    {
        if (precision.Gguf is not (GgufPrecision.Q8 or GgufPrecision.Q4)) return;
        long[] rows = [
            .. model.Model.Weights.Select(weight => weight.Value).Where(value => value.dim() == 2).Select(value => value.shape[1])];
        if (Array.Exists(rows, row => row % Q8_0.Format.Length == 0)) return;
        error.WriteLine(
            $"nothing was quantized: a block holds {Q8_0.Format.Length} weights, and no row length " +
            $"({string.Join(", ", rows.Distinct().Order())}) is a multiple of that");
    }

    // A file that cannot be read, or that is another model, is deleted. Logits are compared where there is a tolerance.
    private static (Copy? Copy, ModelComparison? Comparison) ReadAgain(
        Format format, string path, LoadedModel original, double? tolerance, bool isWanted)
    {
        if (tolerance is null && !isWanted) return (null, null);
        Copy? copy = null;
        try
        {
            copy = format.ReadBack(path, original);
            return (copy, tolerance is { } allowed ? Compared(path, copy, allowed) : null);
        }
        catch
        {
            copy?.Model.Dispose();
            Remove(path);
            throw;
        }
    }

    // The negated comparison refuses what is not a number, too.
    private static ModelComparison Compared(string path, Copy copy, double tolerance)
    {
        var comparison = copy.Compare();
        return comparison.Share <= tolerance ? comparison : throw new InvalidOperationException(
            $"{path}: read back, its logits differ by {comparison.Difference:g3}, " +
            $"{comparison.Share:p3} of their range where {tolerance:p3} is allowed; the file was deleted. " +
            "Take a finer --quantize, or --verify false to keep it anyway.");
    }

    private static double BitsPerByte(TextSource source, Copy copy, CancellationToken cancellation)
    {
        using var text = TextEvaluation.Of(source, copy.Tokenizer);
        return copy.Measure(text, cancellation).BitsPerByte(text.Bytes);
    }

    private static Copy ReadBack(string path, LoadedModel original)
    {
        using var imported = ModelImport.Import(path);
        var copy = LoadedModel.Of(imported, imported.Tokenizer ?? original.Tokenizer);
        return new(
            copy, copy.Tokenizer, () => ModelComparison.Of(original, copy), (text, cancellation) => text.Measure(copy.Model, cancellation));
    }

    private static Copy ReadOnnxBack(string path, LoadedModel original)
    {
        var copy = OnnxInferenceModel.Open(path);
        return new(
            copy, original.Tokenizer, () =>
                ModelComparison.Of(original, copy), (text, cancellation) => OnnxEvaluation.Measure(copy, text, cancellation));
    }

    private static void WriteOnnx(LoadedModel model, string folder, Precision precision, OnnxOperators operators) => OnnxFolder.Write(
        folder, model.Model.Config, model.Model.Weights, model.Tokenizer,
        precision.Gguf switch
        {
            GgufPrecision.F32 => OnnxPrecision.F32,
            GgufPrecision.Q8 => OnnxPrecision.Q8,
            GgufPrecision.Q4 => OnnxPrecision.Q4,
            _ => throw new InputException($"--quantize {precision.Name}: ONNX Runtime computes in float32 on a CPU; take f32, q8 or q4."),
        },
        operators,
        model.ChatTemplate);

    private static void WriteSafetensors(LoadedModel model, string folder, Precision precision)
    {
        using var scope = NewDisposeScope();
        ScalarType type = precision.Gguf switch
        {
            GgufPrecision.F32 => ScalarType.Float32,
            GgufPrecision.F16 => ScalarType.Float16,
            _ => throw new InputException($"--quantize {precision.Name}: safetensors has no blocks; take --format gguf, or f16."),
        };
        HuggingFaceFolder.Write(
            folder, model.Model.Config, model.Model.Weights.Select(weight => weight.Value.detach().to(type).ToStored(weight.Name)),
            model.Tokenizer, model.ChatTemplate);
    }

    private static T Named<T>(string option, string name, T[] known, Func<T, string> nameOf) =>
        Array.Find(known, item => nameOf(item) == name) ?? throw new InputException(
            $"{option}: found {name}, expected {string.Join(", ", known[..^1].Select(nameOf))} or {nameOf(known[^1])}.");

    private static long Size(string path) =>
        File.Exists(path) ? new FileInfo(path).Length
            : new DirectoryInfo(path).EnumerateFiles("*", SearchOption.AllDirectories).Sum(file => file.Length);

    private static void Remove(string path)
    {
        if (File.Exists(path)) File.Delete(path);
        else Directory.Delete(path, recursive: true);
    }

    private sealed record Precision(string Name, GgufPrecision Gguf, double Tolerance);

    // Rounding is what the kernels of the copy's backend may add to the tolerance.
    private sealed record Format(
        string Name, Action<LoadedModel, string, Precision, OnnxOperators> Write, Func<string, LoadedModel, Copy> ReadBack,
        double Rounding = 0, string? Extension = null, bool HasOperators = false);

    private sealed record Copy(
        IDisposable Model, Tokenizer Tokenizer,
        Func<ModelComparison> Compare, Func<TextEvaluation, CancellationToken, EvaluationResult> Measure);
}
