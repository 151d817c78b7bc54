using System.Text.Json.Serialization;

namespace Transformer.Configuration;

/// <summary>How a picture that is no square becomes one.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<ImageFit>))]
public enum ImageFit
{
    /// <summary>Both sides are resized to the square's.</summary>
    [JsonStringEnumMemberName("stretch")]
    Stretch,

    /// <summary>The shorter side is resized to the square's, and of the longer one the middle is taken.</summary>
    [JsonStringEnumMemberName("center_crop")]
    CenterCrop,
}
