using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
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

    /// <summary>The sum of a_i b_i.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static float Dot(float* a, float* b, long count)
    {
        float sum = 0;
        var sum8 = Vector256<float>.Zero;
        long i = 0;
        for (; i + 8 <= count; i += 8) sum8 += Vector256.Load(a + i) * Vector256.Load(b + i);
        for (; i < count; i++) sum += a[i] * b[i];
        return sum + Vector256.Sum(sum8);
    }
}
