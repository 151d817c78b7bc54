using System.Text.Json.Nodes;

namespace Transformer.Runs;

/// <summary>A key of which two configurations hold different values.</summary>
/// <param name="Key">The lowest key below which they differ; a part of another kind is one difference.</param>
/// <param name="First">The value in the first one, as text.</param>
/// <param name="Second">The value in the second one.</param>
public sealed record ConfigDifference(string Key, string First, string Second)
{
    /// <summary>The text of a value that is not there.</summary>
    public const string None = "none";

    /// <summary>All differences between two runs.</summary>
    public static IEnumerable<ConfigDifference> Between(RunConfig first, RunConfig second) =>
        Between("", ConfigJson.ToJson(first), ConfigJson.ToJson(second));

    private static IEnumerable<ConfigDifference> Between(string key, JsonNode? first, JsonNode? second)
    {
        if (JsonNode.DeepEquals(first, second)) return [];
        if (first is not JsonObject one || second is not JsonObject other || !JsonNode.DeepEquals(one["kind"], other["kind"]))
            return [new(key, Text(first), Text(second))];
        return one.Select(entry => entry.Key).Union(other.Select(entry => entry.Key))
            .SelectMany(name => Between(key.Length == 0 ? name : $"{key}.{name}", one[name], other[name]));
    }

    private static string Text(JsonNode? value) => value is null ? None : value.ToJsonString(ConfigJson.Options).Trim('"');
}
