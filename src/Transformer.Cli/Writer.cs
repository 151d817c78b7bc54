using Transformer.Configuration;
using Transformer.Generation;
using Transformer.Generation.Decoding;
using Transformer.Layers;
using Transformer.Onnx;
using static TorchSharp.torch;

namespace Transformer.Cli;

/// <summary>What writes with the model at a path: this project's own code, or ONNX Runtime where the path is a folder for that.</summary>
/// <param name="Generator">What writes.</param>
/// <param name="ContextLength">The most tokens that the model sees.</param>
/// <param name="Models">What is disposed with it.</param>
internal sealed record Writer(TextGenerator Generator, int ContextLength, params IDisposable?[] Models) : IDisposable
{
    /// <summary>Loads a model.</summary>
    /// <param name="path">Whatever <see cref="LoadedModel.Open"/> takes, or a folder with an ONNX model.</param>
    /// <param name="format">How weights are packed.</param>
    /// <param name="device">Where this project's own code computes.</param>
    /// <param name="guesses">As <see cref="TextGenerator.Guesses"/>; ONNX Runtime writes without.</param>
    /// <param name="tensors">The ranks that write together, each with its share of the model; null where this process has all.</param>
    /// <exception cref="InputException">There is no such model, it lacks its tokenizer, or it cannot be packed or split.</exception>
    public static Writer Open(string path, WeightFormat format, Device device, int guesses, TensorRanks? tensors = null)
    {
        if (tensors is not null) return OpenShare(path, format, device, guesses, tensors);
        if (OnnxModel.IsAt(path)) return OpenOnnx(path, format);
        var loaded = LoadedModel.Open(path, device);
        var packed = format == WeightFormat.AsIs ? null : DecodeEngine.TryCreate(loaded.Model, format);
        if (packed is null && format != WeightFormat.AsIs)
        {
            loaded.Dispose();
            throw new InputException("--quantize: weights are packed for the processor's own kernels, and this model is on another device. Leave it out.");
        }
        var generator = packed is null
            ? new TextGenerator(loaded.Model, loaded.Tokenizer) { Guesses = guesses }
            : new TextGenerator(packed, loaded.Tokenizer) { Guesses = guesses };
        return new(generator, loaded.Model.Config.ContextLength, packed, loaded);
    }

    private static Writer OpenShare(string path, WeightFormat format, Device device, int guesses, TensorRanks tensors)
    {
        if (OnnxModel.IsAt(path)) throw new InputException($"--tensor-parallel: {path} is an ONNX model, which ranks cannot share. Give a checkpoint.");
        if (format != WeightFormat.AsIs || guesses > 0)
            throw new InputException("--tensor-parallel: weights are packed, and tokens guessed, where one process has the whole model; leave out --quantize and --guess.");
        if (device.type != TorchSharp.DeviceType.CPU)
            throw new InputException($"--device {device}: several ranks add up by MPI, in the processors' memory; take cpu, or one process.");
        var loaded = LoadedModel.Open(path, device, tensors);
        return new(new TextGenerator(loaded.Model, loaded.Tokenizer), loaded.Model.Config.ContextLength, loaded);
    }

    private static Writer OpenOnnx(string path, WeightFormat format)
    {
        if (format != WeightFormat.AsIs) throw new InputException($"--quantize: {path} is an ONNX model, whose weights are packed when it is exported; leave it out.");
        var model = OnnxModel.Open(path);
        if (model.Tokenizer is not null) return new(model.Generator(), model.Config.ContextLength, model);
        model.Dispose();
        throw new InputException($"{path}: has no tokenizer.json, so text cannot become tokens.");
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var model in Models) model?.Dispose();
    }
}
