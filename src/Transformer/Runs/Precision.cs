using System.Text.Json.Serialization;

namespace Transformer.Runs;

/// <summary>The type in which products are computed. Parameters, gradients and moments are fp32 under all of them.</summary>
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

    /// <summary>fp32 whose factors NVIDIA's GPUs round to 11 bits on their way into a product; no other device has it.</summary>
    [JsonStringEnumMemberName("tf32")]
    Tf32,
}
