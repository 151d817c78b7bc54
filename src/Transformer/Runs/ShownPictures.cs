using System.Text.Json.Serialization;

namespace Transformer.Runs;

/// <summary>Which picture a row of a task shows: its own, or none of use, a control of what questions alone tell.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<ShownPictures>))]
public enum ShownPictures
{
    /// <summary>The picture that it asks about.</summary>
    [JsonStringEnumMemberName("own")]
    Own,

    /// <summary>The next one, of which the answer tells nothing.</summary>
    [JsonStringEnumMemberName("others")]
    Others,

    /// <summary>None, so that a model of text alone can learn what can be guessed.</summary>
    [JsonStringEnumMemberName("none")]
    None,
}
