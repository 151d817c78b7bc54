using System.Text.Json.Serialization;

namespace Transformer.Runs;

/// <summary>What a run learns from.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<DataKind>))]
public enum DataKind
{
    /// <summary>A text, whose every token is predicted.</summary>
    [JsonStringEnumMemberName("text")]
    Text,

    /// <summary>A generated task, whose answers are predicted.</summary>
    [JsonStringEnumMemberName("task")]
    Task,

    /// <summary>Rows of a text with pictures and an answer, of which the answer is predicted.</summary>
    [JsonStringEnumMemberName("image_text")]
    ImageText,
}
