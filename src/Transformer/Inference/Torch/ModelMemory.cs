using Transformer.Checkpoints;
using Transformer.Formats;
using Transformer.Inference.Cpu;
using Transformer.Model;
using Transformer.Native;
using static TorchSharp.torch;

namespace Transformer.Inference.Torch;

/// <summary>Computes a model of libtorch by this project's own kernels, on libtorch's weights in place.</summary>
public static class ModelMemory
{
    extension(CpuInferenceModel)
    {
        /// <summary>
        /// Makes an inference model of the current weights. After a step of training make another: some weights are
        /// copies, others are the model's own memory.
        /// </summary>
        /// <param name="model">The model; its weights are not copied unless they are packed, and stay
        /// alive as long as the inference model.</param>
        /// <param name="format">The format of matrices in memory.</param>
        /// <param name="threads">The number of threads; as many as libtorch's where null.</param>
        /// <returns>Null where the kernels do not support a part of the model, or its weights are not all in this process's memory in a
        /// type that they read.</returns>
        public static InferenceModel? TryCreate(TransformerModel model, WeightFormat format = WeightFormat.AsIs, int? threads = null)
        {
            if (CpuKernels.Supports(model.Config) is not null) return null;
            if (model.TensorParallelGroup is not null || !model.Weights.All(weight => IsInPlace(weight.Value))) return null;
            var owned = new List<Tensor>();
            var tensors = model.Weights.Select(weight => InPlace(weight.Name, weight.Value, owned)).ToList();
            return CpuInferenceModel.Create(model.Config, CpuWeights.Of(tensors, format, owned)!, threads ?? get_num_threads());
        }
    }

    // A weight without elements is on other ranks.
    private static bool IsInPlace(Tensor tensor) =>
        tensor.device_type == TorchSharp.DeviceType.CPU && tensor.numel() > 0 && tensor.is_contiguous()
        && tensor.dtype is ScalarType.Float32 or ScalarType.BFloat16 or ScalarType.Float16;

    private static MemoryTensor InPlace(string name, Tensor value, List<Tensor> owned)
    {
        var tensor = value.detach().DetachFromDisposeScope();
        owned.Add(tensor);
        return new(name, tensor.dtype.ToElementType(), tensor.shape, Aten.DataPointer(tensor), tensor);
    }
}
