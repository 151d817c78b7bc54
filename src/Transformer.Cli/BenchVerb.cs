using System.CommandLine;
using Transformer.Benchmarks;
using Transformer.Checkpoints;
using Transformer.Configuration;
using Transformer.Formats;
using Transformer.Inference.Cpu;
using Transformer.Model;
using Transformer.Onnx;
using Transformer.Runs;
using static TorchSharp.torch;

namespace Transformer.Cli;

/// <summary><c>bench</c>: speed, always beside the machine's limits.</summary>
internal static class BenchVerb
{
    // The vocabulary size of a configuration that leaves it open: bytes.
    private const int OpenVocabulary = 256;
    private const double WideSpread = 0.2;

    // A small GPT with current components. No text is read.
    private const string Default = """
        model:
          width: 384
          context_length: 256
          layers: 6
          vocabulary_size: 65
          attention: {kind: softmax, heads: 6}
        data: {path: builtin:tinyshakespeare}
        training: {steps: 1, batch_size: 8, optimizer: {kind: adamw, learning_rate: 1.0e-3}}
        """;

    private static readonly Argument<string?> Source = new("RECIPE|FILE")
    {
        Description =
            "A recipe's name or a YAML or JSON file; default: a model of 6 layers, width 384 and context 256, in batches of 8.",
        Arity = ArgumentArity.ZeroOrOne,
    };

    private static readonly Argument<string?> Model = new("PATH")
    {
        Description = "A run, a checkpoint, a recipe or a file; default: the preset gpt-mini with random weights.",
        Arity = ArgumentArity.ZeroOrOne,
    };

    private static readonly Option<int> Rounds = new Option<int>("--rounds")
    {
        Description = "The number of alternating rounds of model and machine.",
        HelpName = "N",
        DefaultValueFactory = _ => 5,
    }.Whole(1, 1000);

    private static readonly Option<int> Sequences = new Option<int>("--sequences")
    {
        Description = "How many texts are generated together.",
        HelpName = "N",
        DefaultValueFactory = _ => 1,
    }.Whole(1, GenerateOptions.MostRows);

    private static readonly Option<int?> PromptTokens = new Option<int?>("--prompt-tokens")
    {
        Description = "The number of tokens of each prompt; default: 128, or half the context.",
        HelpName = "N",
    }.Whole(1, ModelConfig.LongestContext);

    /// <summary>The verb with its subcommands.</summary>
    public static Command Create()
    {
        var train = new Command("train", "Measures training steps against the machine's matrix products.")
        {
            Source, SharedOptions.Set, Rounds, SharedOptions.Threads, SharedOptions.Device, SharedOptions.Json,
        };
        train.SetAction((request, cancellation) => Task.FromResult(Train(request, cancellation)));
        var decode = new Command("decode", "Measures generation against the machine's memory.")
        {
            Model, SharedOptions.Set, SharedOptions.Quantize, SharedOptions.Operators, Sequences, PromptTokens, Rounds,
            SharedOptions.Threads, SharedOptions.Json,
        };
        decode.SetAction((request, cancellation) => Task.FromResult(Decode(request, cancellation)));
        return new Command("bench", "Measures speed beside the machine's limits.")
        {
            train, decode, BenchSpeculation.Create(Rounds), BenchScaling.Create(), BenchMemory.Create(Source, Load),
        };
    }

    private static int Train(ParseResult request, CancellationToken cancellation)
    {
        SharedOptions.UseThreads(request);
        var rounds = request.GetValue(Rounds);
        var config = Load(request.GetValue(Source), request.GetValue(SharedOptions.Set)!);
        var result = TrainingBenchmark.Run(config, rounds, SharedOptions.DeviceOf(request), cancellation);
        if (request.GetValue(SharedOptions.Json)) ScriptJson.Write(request.InvocationConfiguration.Output, result);
        else
        {
            Report(
                request.InvocationConfiguration.Output, result.UtilizationMinimum, result.UtilizationMaximum, result.Utilization,
                ("model", $"{Numbers.Count(result.Parameters)} parameters, {config.Training.BatchSize} x {config.Model.ContextLength} " +
                    $"tokens, {result.Threads} threads"),
                ("training", $"{result.TokensPerSecond:n0} tokens/s"),
                ("model rate", $"{Numbers.Flops(result.ModelFlopsPerSecond)}/s"),
                ("matrix rate", $"{Numbers.Flops(result.MatrixFlopsPerSecond)}/s"));
        }
        return CommandLine.Done;
    }

    private static int Decode(ParseResult request, CancellationToken cancellation)
    {
        SharedOptions.UseThreads(request);
        var rounds = request.GetValue(Rounds);
        var (format, sequences, promptTokens) = (
            WeightFormats.Named(request.GetValue(SharedOptions.Quantize)!), request.GetValue(Sequences), request.GetValue(PromptTokens));
        using var model = OpenModel(request.GetValue(Model), request.GetValue(SharedOptions.Set)!);
        var result = SharedOptions.OperatorsOf(request) is { } operators
            ? WithOnnxRuntime(model, rounds, format, operators, sequences, promptTokens, cancellation)
            : DecodingBenchmark.Run(model, rounds, format, sequences, promptTokens, cancellation);
        if (request.GetValue(SharedOptions.Json)) ScriptJson.Write(request.InvocationConfiguration.Output, result);
        else
        {
            var weight = sequences * result.WeightBytesPerSecond / result.TokensPerSecond / new ModelSize(model.Config).MatrixParameters;
            Report(
                request.InvocationConfiguration.Output, result.UtilizationMinimum, result.UtilizationMaximum, result.Utilization,
                ("model", $"{Numbers.Count(result.Parameters)} parameters, " +
                    $"{sequences} x ({result.PromptTokens} + {result.GeneratedTokens}) tokens, {result.Threads} threads"),
                ("weights", $"{weight:g4} bytes each"),
                ("generation", $"{result.TokensPerSecond:f1} tokens/s"),
                ("first token", $"{1000 * result.FirstTokenSeconds:f1} ms, " +
                    $"{sequences * result.PromptTokens / result.FirstTokenSeconds:n0} tokens of prompt/s"),
                ("weights read", $"{Numbers.Bytes(result.WeightBytesPerSecond)}/s"),
                ("memory rate", $"{Numbers.Bytes(result.MemoryBytesPerSecond)}/s"));
        }
        return CommandLine.Done;
    }

    private static DecodingBenchmark WithOnnxRuntime(
        TransformerModel model, int rounds, WeightFormat format, OnnxOperators operators, int sequences, int? promptTokens,
        CancellationToken cancellation)
    {
        var precision = format switch
        {
            WeightFormat.AsIs => OnnxPrecision.F32,
            WeightFormat.Q8 => OnnxPrecision.Q8,
            WeightFormat.Q4 => OnnxPrecision.Q4,
            _ => throw new InputException("--quantize: ONNX Runtime computes in float32 on a CPU; with --operators take none, q8 or q4."),
        };
        var folder = Directory.CreateTempSubdirectory("transformer-bench-");
        try
        {
            OnnxFolder.Write(folder.FullName, model.Config, model.Weights, null, precision, operators);
            using var onnx = OnnxInferenceModel.Open(folder.FullName);
            return DecodingBenchmark.Run(onnx, precision.MatrixBytes(model.Config), rounds, format, sequences, promptTokens, cancellation);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private static RunConfig Load(string? source, IEnumerable<string> overrides)
    {
        var config = source is null ? ConfigFile.Parse(Default, "bench", overrides)
            : TrainingSource.Load(source, overrides, "bench", "train");
        return config with { Model = config.Model with { VocabularySize = config.Model.VocabularySize ?? OpenVocabulary } };
    }

    private static TransformerModel OpenModel(string? path, string[] overrides)
    {
        if (path is null || (!Directory.Exists(path) && Path.GetExtension(path) != ".safetensors"))
        {
            manual_seed(0);
            return new TransformerModel(Load(path, path is null ? overrides.Prepend("model.preset=gpt-mini") : overrides).Model);
        }
        if (overrides.Length > 0)
            throw new InputException($"{path}: is a trained model, which --set cannot change. Leave out one of the two.");
        using var checkpoint = CheckpointFolder.Open(path);
        var model = new TransformerModel(checkpoint.Model);
        checkpoint.CopyInto(model.Weights);
        return model;
    }

    private static void Report(TextWriter output, double least, double greatest, double ratio, params (string Name, string Value)[] lines)
    {
        foreach (var (name, value) in lines) output.WriteLine($"{name,-14}{value}");
        output.WriteLine($"{"utilization",-14}{ratio:p0} (from {least:p0} to {greatest:p0})");
        if ((greatest - least) / ratio > WideSpread)
            output.WriteLine("The rounds differ widely: something else is running on this machine, and the ratio is not reliable.");
    }
}
