using System.CommandLine.Parsing;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using Transformer.Configuration;

namespace Transformer.Cli;

/// <summary>What <c>--json</c> prints: one object on one line, names in snake_case, as options take them too.</summary>
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

    /// <summary>The same as a tree, for a file.</summary>
    public static JsonNode Node<T>(T result) => JsonSerializer.SerializeToNode(result, Options)!;

    /// <summary>What another process of this program has printed.</summary>
    public static T Read<T>(string json) => JsonSerializer.Deserialize<T>(json, Options)!;

    /// <summary>The name of a value of an enumeration.</summary>
    public static string Name<T>(T value) where T : struct, Enum => JsonNamingPolicy.SnakeCaseLower.ConvertName(value.ToString());

    /// <summary>The names of all values of an enumeration.</summary>
    public static IReadOnlyList<string> Names<T>() where T : struct, Enum => [.. Enum.GetValues<T>().Select(Name)];

    /// <summary>The values whose names an option was given; those that are none are errors of the request.</summary>
    public static T[] Parse<T>(string option, ArgumentResult result) where T : struct, Enum
    {
        var known = Enum.GetValues<T>().ToDictionary(Name);
        foreach (var token in result.Tokens.Where(token => !known.ContainsKey(token.Value)))
            result.AddError($"{option}: {Spelling.NotOneOf(token.Value, known.Keys)}.");
        return [.. result.Tokens.Where(token => known.ContainsKey(token.Value)).Select(token => known[token.Value])];
    }
}
