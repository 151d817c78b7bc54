using System.Text.Json;
using System.Text.Json.Serialization;

namespace Transformer.Cli;

/// <summary>What <c>--json</c> prints: one object on one line, names in snake_case.</summary>
internal static class ScriptJson
{
    private static readonly JsonSerializerOptions Options = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.SnakeCaseLower) },
    };

    /// <summary>
    /// Prints a result, usually an anonymous object; what it holds of a configuration comes from <c>ConfigJson.ToJson</c>.
    /// </summary>
    public static void Write<T>(TextWriter output, T result) => output.WriteLine(JsonSerializer.Serialize(result, Options));

    /// <summary>The word that stands for a value of an enumeration.</summary>
    public static string Name<T>(T value) where T : struct, Enum => JsonNamingPolicy.SnakeCaseLower.ConvertName(value.ToString());
}
