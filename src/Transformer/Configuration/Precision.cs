using System.Text.Json.Serialization;

namespace Transformer.Configuration;

/// <summary>The type in which products are computed.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<Precision>))]
public enum Precision
{
    /// <summary>32-bit floating point.</summary>
    [JsonStringEnumMemberName("fp32")]
    Fp32,
}
