using Transformer.Runs;
using static TorchSharp.torch;

namespace Transformer.Native;

/// <summary>Conversions between the type of matrix products and that of everything else.</summary>
internal static class ProductTypes
{
    /// <summary>The type of the factors; under tf32 they are fp32 and rounded inside the product.</summary>
    public static ScalarType Of(Precision precision) => precision switch
    {
        Precision.Fp32 or Precision.Tf32 => ScalarType.Float32,
        Precision.Bf16 => ScalarType.BFloat16,
        Precision.Fp16 => ScalarType.Float16,
        _ => throw new ArgumentOutOfRangeException(nameof(precision), precision, "no such precision"),
    };

    /// <summary>16-bit numbers as fp32, for computations that must not round in between; others unchanged.</summary>
    public static Tensor ToFloat32(this Tensor x) => x.dtype is ScalarType.BFloat16 or ScalarType.Float16 ? x.to(ScalarType.Float32) : x;

    /// <summary>
    /// The factor as a product takes it. On a CPU, fp16 is multiplied as fp32: hardly any CPU has fp16 units, and libtorch's product
    /// without them is many times slower. The caller rounds the result to fp16, as such units would.
    /// </summary>
    public static Tensor ForMatmul(this Tensor x) =>
        x.dtype == ScalarType.Float16 && x.device_type == TorchSharp.DeviceType.CPU ? x.to(ScalarType.Float32) : x;
}
