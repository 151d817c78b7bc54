using System.Text.Json.Serialization;
using Transformer.Configuration;

namespace Transformer.Inference.Cpu;

/// <summary>
/// The format of a model's matrices in memory during generation. A token reads all of them, so their bytes determine the speed.
/// </summary>
[JsonConverter(typeof(JsonStringEnumConverter<WeightFormat>))]
public enum WeightFormat
{
    /// <summary>As the model has them: 4 bytes a weight, since loading widens the 16-bit numbers of a checkpoint.</summary>
    [JsonStringEnumMemberName("none")]
    AsIs,

    /// <summary>2 bytes a weight: bfloat16.</summary>
    [JsonStringEnumMemberName("bf16")]
    BFloat16,

    /// <summary>2 bytes a weight: IEEE half precision.</summary>
    [JsonStringEnumMemberName("fp16")]
    Half,

    /// <summary>Blocks of 32 weights of 8 bits with a scale in half precision, 34 bytes: the numbers of GGUF's Q8_0.</summary>
    [JsonStringEnumMemberName("q8")]
    Q8,

    /// <summary>Blocks of 32 weights of 4 bits with a scale in half precision, 18 bytes: the numbers of GGUF's Q4_0.</summary>
    [JsonStringEnumMemberName("q4")]
    Q4,
}

/// <summary>The names and sizes of formats.</summary>
public static class WeightFormats
{
    private static readonly Dictionary<string, WeightFormat> Names = new()
    {
        ["none"] = WeightFormat.AsIs,
        ["bf16"] = WeightFormat.BFloat16,
        ["fp16"] = WeightFormat.Half,
        ["q8"] = WeightFormat.Q8,
        ["q4"] = WeightFormat.Q4,
    };

    /// <summary>The format of a name.</summary>
    /// <exception cref="InputException">There is none of this name.</exception>
    public static WeightFormat Named(string name) =>
        Names.TryGetValue(name, out var format) ? format
            : throw new InputException($"--quantize: {Spelling.NotOneOf(name, [.. Names.Keys])}");

    /// <summary>The bytes of a weight, scales included.</summary>
    public static double BytesPerWeight(this WeightFormat format) => format switch
    {
        WeightFormat.BFloat16 or WeightFormat.Half => 2,
        WeightFormat.Q8 => 34.0 / 32,
        WeightFormat.Q4 => 18.0 / 32,
        _ => sizeof(float),
    };
}
