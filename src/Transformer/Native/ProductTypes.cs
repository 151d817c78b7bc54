using Transformer.Runs;
using static TorchSharp.torch;

namespace Transformer.Native;

/// <summary>Between the types of products and that of everything else.</summary>
internal static class ProductTypes
{
    /// <summary>The type of the tensors that are multiplied; tf32 rounds on the way and keeps fp32's.</summary>
    public static ScalarType Of(Precision precision) => precision switch
    {
        Precision.Fp32 or Precision.Tf32 => ScalarType.Float32,
        Precision.Bf16 => ScalarType.BFloat16,
        Precision.Fp16 => ScalarType.Float16,
        _ => throw new ArgumentOutOfRangeException(nameof(precision), precision, "no such precision"),
    };

    /// <summary>16-bit numbers as fp32 ones, for what must not be rounded on the way; others as they are.</summary>
    public static Tensor ToFloat32(this Tensor x) => x.dtype is ScalarType.BFloat16 or ScalarType.Float16 ? x.to(ScalarType.Float32) : x;

    /// <summary>
    /// What a product is computed from. fp16 numbers on a processor are multiplied as the fp32 numbers that they are: hardly any has units
    /// for them, and libtorch's product without is many times slower. The result is rounded to fp16 by the caller, as units for it would.
    /// </summary>
    public static Tensor ForMatmul(this Tensor x) =>
        x.dtype == ScalarType.Float16 && x.device_type == TorchSharp.DeviceType.CPU ? x.to(ScalarType.Float32) : x;
}
