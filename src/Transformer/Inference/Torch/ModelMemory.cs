using Transformer.Checkpoints;
using Transformer.Formats;
using Transformer.Inference.Cpu;
using Transformer.Model;
using Transformer.Native;
using static TorchSharp.torch;

namespace Transformer.Inference.Torch;

/// <summary>Runs a model of libtorch's by kernels of this project's own, on the weights where libtorch has them.</summary>
public static class ModelMemory
{
    extension(CpuInferenceModel)
    {
        /// <summary>
        /// Makes an engine of a model as it is now. After a step of training make another: some weights are copies, others the model's own
        /// numbers.
        /// </summary>
        /// <param name="model">The model; its weights are not copied unless they are packed, and stay as long as the engine does.</param>
        /// <param name="format">How matrices lie in memory.</param>
        /// <param name="threads">How many threads work; as many as libtorch's where null.</param>
        /// <returns>Null where the weights are not all in this process's own memory in a type that the kernels read.</returns>
        public static CpuInferenceModel? TryCreate(TransformerModel model, WeightFormat format = WeightFormat.AsIs, int? threads = null)
        {
            if (model.TensorParallelGroup is not null || !model.Weights.All(weight => IsInPlace(weight.Value))) return null;
            var owned = new List<Tensor>();
            var tensors = model.Weights.Select(weight => InPlace(weight.Name, weight.Value, owned)).ToList();
            return CpuInferenceModel.Create(model.Config, CpuWeights.Of(tensors, format, owned)!, threads ?? get_num_threads());
        }
    }

    // A weight without numbers lies with other ranks.
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
