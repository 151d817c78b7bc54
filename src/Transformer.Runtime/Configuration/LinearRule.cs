using System.Text.Json.Serialization;

namespace Transformer.Configuration;

/// <summary>How a token changes the matrix of linear attention, from the simplest to the default.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<LinearRule>))]
public enum LinearRule
{
    /// <summary>Features elu(x) + 1, normalised (Katharopoulos et al. 2020).</summary>
    [JsonStringEnumMemberName("elu")]
    Elu,

    /// <summary>Sparse features of products of rectified components, normalised (Schlag et al. 2021).</summary>
    [JsonStringEnumMemberName("dpfp")]
    Dpfp,

    /// <summary>Features whose product is the exponential's second-order Taylor series, normalised (Arora et al. 2024, Based).</summary>
    [JsonStringEnumMemberName("taylor")]
    Taylor,

    /// <summary>A constant decay a head (Sun et al. 2023, RetNet).</summary>
    [JsonStringEnumMemberName("retention")]
    Retention,

    /// <summary>A decay a component of the key, computed from the token (Yang et al. 2023, gated linear attention).</summary>
    [JsonStringEnumMemberName("gla")]
    Gla,

    /// <summary>A decay a head, computed from the token (Dao and Gu 2024, Mamba-2).</summary>
    [JsonStringEnumMemberName("scalar_gla")]
    ScalarGla,

    /// <summary>What the key held before is replaced (Schlag et al. 2021; Yang et al. 2024, DeltaNet).</summary>
    [JsonStringEnumMemberName("delta")]
    Delta,

    /// <summary>The delta rule behind a decay a head, computed from the token (Yang, Kautz and Hatamizadeh 2024, Gated DeltaNet).</summary>
    [JsonStringEnumMemberName("gated_delta")]
    GatedDelta,
}
