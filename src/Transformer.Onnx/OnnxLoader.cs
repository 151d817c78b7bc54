using Transformer.Configuration;
using Transformer.Generation;
using Transformer.Inference.Cpu;
using Transformer.Inference.Torch;

namespace Transformer.Onnx;

/// <summary>Loads models for generation: folders for ONNX Runtime, and all that <see cref="ModelLoader"/> loads.</summary>
public static class OnnxLoader
{
    /// <summary>Loads a model with its tokenizer.</summary>
    /// <param name="path">A folder with an ONNX model, or whatever <see cref="ModelLoader.Open"/> takes.</param>
    /// <param name="request">How it is to be loaded.</param>
    /// <exception cref="InputException">There is no such model, it lacks its tokenizer, or it cannot be loaded in this way.</exception>
    public static LoadedInference Open(string path, LoadRequest request)
    {
        if (!OnnxInferenceModel.IsAt(path)) return ModelLoader.Open(path, request);
        if (request.Group is not null)
            throw new InputException($"--tensor-parallel: {path} is an ONNX model, which ranks cannot share. Give a checkpoint.");
        if (request.Format != WeightFormat.AsIs)
            throw new InputException($"--quantize: {path} is an ONNX model, whose weights are packed when it is exported; leave it out.");
        if (request.Device != "cpu")
            throw new InputException(
                $"--device: found {request.Device}, but {path} is an ONNX model, which is run on the processor; leave it out.");
        ModelLoader.LoadLibTorch(request.Threads);
        var model = OnnxInferenceModel.Open(path);
        if (model.Tokenizer is { } tokenizer) return new(model, tokenizer);
        model.Dispose();
        throw new InputException($"{path}: has no tokenizer.json, so text cannot become tokens.");
    }
}
