using System.Text.Json.Serialization;

namespace Transformer.Configuration;

/// <summary>The filters of Pillow's resize.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<ImageFilter>))]
public enum ImageFilter
{
    /// <summary>The pixel in the middle of each new one.</summary>
    [JsonStringEnumMemberName("nearest")]
    Nearest,

    /// <summary>The mean of the pixels that a new one covers.</summary>
    [JsonStringEnumMemberName("box")]
    Box,

    /// <summary>A triangle over two pixels.</summary>
    [JsonStringEnumMemberName("bilinear")]
    Bilinear,

    /// <summary>The cubic of Keys (1981) with a = -1/2 over four pixels.</summary>
    [JsonStringEnumMemberName("bicubic")]
    Bicubic,

    /// <summary>A windowed sinc over six pixels.</summary>
    [JsonStringEnumMemberName("lanczos")]
    Lanczos,
}
