using TorchSharp;
using static TorchSharp.torch;

namespace Transformer.Native;

/// <summary>Common parts of our kernels, which work on the memory of contiguous fp32 tensors on the CPU.</summary>
internal static unsafe class Kernels
{
    /// <summary>Whether the kernels support a tensor, once it is contiguous.</summary>
    public static bool Supports(Tensor tensor) => tensor.device.type == DeviceType.CPU && tensor.dtype == ScalarType.Float32;

    /// <summary>The address of a tensor's first number; null for none. The caller keeps the tensor alive.</summary>
    public static float* Pointer(Tensor? tensor) => tensor is null ? null : (float*)Aten.DataPointer(tensor);
}
