using System.Text.Json.Serialization;

namespace Transformer.Runs;

/// <summary>The type of matrix products. Parameters, gradients and moments are always fp32.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<Precision>))]
public enum Precision
{
    /// <summary>32-bit floating point.</summary>
    [JsonStringEnumMemberName("fp32")]
    Fp32,

    /// <summary>bfloat16: the range of fp32 and 8 bits of precision.</summary>
    [JsonStringEnumMemberName("bf16")]
    Bf16,

    /// <summary>IEEE half precision: 11 bits and a range from 6e-8 to 65,504, so that the loss is scaled.</summary>
    [JsonStringEnumMemberName("fp16")]
    Fp16,

    /// <summary>fp32 whose factors NVIDIA's GPUs round to 11 bits in a product; no other device has it.</summary>
    [JsonStringEnumMemberName("tf32")]
    Tf32,
}
