using Transformer.Configuration;
using Transformer.Generation;
using Transformer.Inference.Cpu;
using Transformer.Inference.Torch;
using Transformer.Layers;
using Transformer.Native;
using Transformer.Onnx;
using Transformer.Tokenization;
using static TorchSharp.torch;

namespace Transformer.Cli;

/// <summary>What writes with the model at a path: this project's own code, or ONNX Runtime where the path is a folder for that.</summary>
/// <param name="Generator">What writes.</param>
/// <param name="ContextLength">The most tokens that the model sees.</param>
/// <param name="Tokenizer">What its tokens mean.</param>
/// <param name="Engine">The processor's own kernels; null where others compute.</param>
/// <param name="Models">What is disposed with it.</param>
internal sealed record Writer(TextGenerator Generator, int ContextLength, Tokenizer Tokenizer, CpuInferenceModel? Engine, params IDisposable?[] Models) : IDisposable
{
    /// <summary>Loads a model.</summary>
    /// <param name="path">Whatever <see cref="LoadedModel.Open"/> takes, or a folder with an ONNX model.</param>
    /// <param name="format">How weights are packed.</param>
    /// <param name="device">The name of where this project's own code computes.</param>
    /// <param name="threads">How many threads compute; as many as there are processors where null.</param>
    /// <param name="guesses">As <see cref="TextGenerator.DraftTokens"/>; ONNX Runtime writes without.</param>
    /// <param name="draft">The path of a smaller model that guesses; null for none.</param>
    /// <param name="group">The ranks that write together, each with its share of the model; null where this process has all.</param>
    /// <exception cref="InputException">There is no such model, it lacks its tokenizer, it cannot be packed or split, or the smaller model's tokens are others.</exception>
    public static Writer Open(string path, WeightFormat format, string device, int? threads, int guesses, string? draft, TensorParallelGroup? group = null)
    {
        if (group is not null) return OpenShare(path, format, device, group);
        if (OnnxModel.IsAt(path)) return OpenOnnx(path, format, device, threads, guesses, draft);
        var models = new Stack<IDisposable>();
        try
        {
            var (engine, loaded, tokenizer) = Load(path, format, device, threads, models);
            if (engine is null && format != WeightFormat.AsIs)
                throw new InputException("--quantize: weights are packed for the processor's own kernels, and this model is on another device. Leave it out.");
            var smaller = draft is null ? null : OpenDraft(draft, format, device, threads, tokenizer, models);
            var generator = engine is null
                ? new TextGenerator(loaded!.Model, tokenizer) { DraftTokens = guesses, Draft = smaller }
                : new TextGenerator(engine, tokenizer) { DraftTokens = guesses, Draft = smaller };
            return new(generator, (engine?.Config ?? loaded!.Model.Config).ContextLength, tokenizer, engine, [.. models]);
        }
        catch
        {
            foreach (var model in models) model.Dispose();
            throw;
        }
    }

    // On a processor a checkpoint is read by the kernels that write with it; libtorch is loaded for what they do not read.
    private static (CpuInferenceModel? Engine, LoadedModel? Model, Tokenizer Tokenizer) Load(string path, WeightFormat format, string device, int? threads, Stack<IDisposable> models)
    {
        if (device == "cpu" && LoadedEngine.Open(path, format, threads ?? Environment.ProcessorCount) is { } decoding)
        {
            models.Push(decoding);
            return (decoding.Engine, null, decoding.Tokenizer);
        }
        LoadLibTorch(threads);
        var loaded = LoadedModel.Open(path, ComputeDevice.Named(device));
        models.Push(loaded);
        var engine = CpuInferenceModel.TryCreate(loaded.Model, format, threads);
        if (engine is not null) models.Push(engine);
        return (engine, loaded, loaded.Tokenizer);
    }

    /// <summary>The processor's own kernels, for an option that needs them.</summary>
    /// <exception cref="InputException">Others compute.</exception>
    public CpuInferenceModel EngineFor(string option) => Engine
        ?? throw new InputException($"{option}: is for the processor's own kernels, and this model is on another device or of ONNX Runtime. Leave it out.");

    private static CpuInferenceModel OpenDraft(string path, WeightFormat format, string device, int? threads, Tokenizer tokenizer, Stack<IDisposable> models)
    {
        var (engine, _, own) = Load(path, format, device, threads, models);
        if (!tokenizer.HasTokensOf(own))
            throw new InputException($"--draft: the tokenizer of {path} ({own.VocabularySize} tokens) is not the model's ({tokenizer.VocabularySize} tokens). " +
                "Take a model that was trained with the same one.");
        return engine ?? throw new InputException("--draft: guesses are made by the processor's own kernels, and this model is on another device. Leave it out.");
    }

    private static Writer OpenShare(string path, WeightFormat format, string device, TensorParallelGroup group)
    {
        if (OnnxModel.IsAt(path)) throw new InputException($"--tensor-parallel: {path} is an ONNX model, which ranks cannot share. Give a checkpoint.");
        if (format != WeightFormat.AsIs) throw new InputException("--quantize: weights are packed where one process has the whole model; leave it or --tensor-parallel out.");
        if (device != "cpu")
            throw new InputException($"--device {device}: several ranks add up by MPI, in the processors' memory; take cpu, or one process.");
        var loaded = LoadedModel.Open(path, device: null, group);
        return new(new TextGenerator(loaded.Model, loaded.Tokenizer), loaded.Model.Config.ContextLength, loaded.Tokenizer, Engine: null, loaded);
    }

    private static void LoadLibTorch(int? threads)
    {
        LibTorch.Load();
        if (threads is { } count) set_num_threads(count);
    }

    private static Writer OpenOnnx(string path, WeightFormat format, string device, int? threads, int guesses, string? draft)
    {
        if (format != WeightFormat.AsIs) throw new InputException($"--quantize: {path} is an ONNX model, whose weights are packed when it is exported; leave it out.");
        if (guesses > 0 || draft is not null) throw new InputException($"{(draft is null ? "--draft-tokens" : "--draft")}: {path} is an ONNX model, which reads no guesses; leave it out.");
        if (device != "cpu") throw new InputException($"--device: found {device}, but {path} is an ONNX model, which is run on the processor; leave it out.");
        LoadLibTorch(threads);
        var model = OnnxModel.Open(path);
        if (model.Tokenizer is { } tokenizer) return new(model.Generator(), model.Config.ContextLength, tokenizer, Engine: null, model);
        model.Dispose();
        throw new InputException($"{path}: has no tokenizer.json, so text cannot become tokens.");
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var model in Models) model?.Dispose();
    }
}
