using System.Text.Json.Serialization;

namespace Transformer.Configuration;

/// <summary>Which code computes softmax attention. All of it computes the same equation.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<SoftmaxKernel>))]
public enum SoftmaxKernel
{
    /// <summary>The fastest that knows the model's options, on every backend.</summary>
    [JsonStringEnumMemberName("fused")]
    Fused,

    /// <summary>The paper's equation with its T x T scores, on libtorch only: what is changed there takes effect.</summary>
    [JsonStringEnumMemberName("explicit")]
    Explicit,
}
