using Transformer.Configuration;
using Transformer.Generation;
using Transformer.Inference.Cpu;
using Transformer.Native;
using static TorchSharp.torch;

namespace Transformer.Inference.Torch;

/// <summary>Loads models for generation, and chooses what computes them.</summary>
public static class ModelLoader
{
    /// <summary>Loads a model with its tokenizer.</summary>
    /// <param name="path">Whatever <see cref="LoadedModel.Open"/> takes.</param>
    /// <param name="request">How it is to be loaded.</param>
    /// <returns>On a CPU a checkpoint is read and computed by the CPU kernels; libtorch is loaded
    /// only for what they do not support.</returns>
    /// <exception cref="InputException">There is no such model, it lacks its tokenizer, or it cannot be packed, shared or put on the
    /// device.</exception>
    public static LoadedInference Open(string path, LoadRequest request)
    {
        if (request.Group is { } group) return OpenShare(path, request, group);
        var threads = request.Threads ?? Environment.ProcessorCount;
        if (request.Device == "cpu" && CheckpointInference.TryOpen(path, request.Format, threads) is { } kernels)
            return kernels;
        LoadLibTorch(request.Threads);
        var loaded = LoadedModel.Open(path, ComputeDevice.Named(request.Device));
        try
        {
            if (ModelInference.Choose(loaded.Model, request.Format, request.Threads) is not { } packed) return Torch(loaded);
            // The kernels keep a reference to the memory that they read.
            loaded.Dispose();
            return new(packed, loaded.Tokenizer);
        }
        catch
        {
            loaded.Dispose();
            throw;
        }
    }

    /// <summary>Loads libtorch, and sets how many threads it uses.</summary>
    /// <param name="threads">libtorch's default where null.</param>
    public static void LoadLibTorch(int? threads)
    {
        LibTorch.Load();
        if (threads is { } count) set_num_threads(count);
    }

    private static LoadedInference OpenShare(string path, LoadRequest request, Layers.TensorParallelGroup group)
    {
        if (request.Format != WeightFormat.AsIs)
            throw new InputException(
                "--quantize: weights are packed where one process has the whole model; leave it or --tensor-parallel out.");
        if (request.Device != "cpu")
            throw new InputException(
                $"--device {request.Device}: several ranks add up by MPI, in the processors' memory; take cpu, or one process.");
        return Torch(LoadedModel.Open(path, device: null, group));
    }

    private static LoadedInference Torch(LoadedModel loaded) =>
        new(SegmentedInferenceModel.Over(new TorchInferenceModel(loaded.Model, ownsModel: true)), loaded.Tokenizer);
}
