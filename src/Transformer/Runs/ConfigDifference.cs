using System.Text.Json;
using System.Text.Json.Nodes;

namespace Transformer.Runs;

/// <summary>A key at which the configurations of several runs differ.</summary>
/// <param name="Key">The lowest key below which they do, e.g. <c>model.attention.heads</c>; a part of another kind is one
/// difference.</param>
/// <param name="Nodes">What each of them has there; null for nothing.</param>
internal sealed record ConfigDifference(string Key, IReadOnlyList<JsonNode?> Nodes)
{
    /// <summary>The text of a key that is absent or null.</summary>
    public const string None = "none";

    private static readonly JsonSerializerOptions OneLine = new(ConfigJson.Options) { WriteIndented = false };

    /// <summary>What each of them has there, as JSON on one line, words without quotes.</summary>
    public IReadOnlyList<string> Values => [.. Nodes.Select(node => node is null ? None : node.ToJsonString(OneLine).Trim('"'))];

    /// <summary>All differences between configurations, in the order of the keys.</summary>
    public static IReadOnlyList<ConfigDifference> Between(params IReadOnlyList<RunConfig> runs) =>
        [.. Below("", [.. runs.Select(ConfigJson.ToJson)])];

    private static IEnumerable<ConfigDifference> Below(string key, IReadOnlyList<JsonNode?> values)
    {
        if (values.All(value => JsonNode.DeepEquals(value, values[0]))) return [];
        JsonObject[] parts = [.. values.OfType<JsonObject>()];
        if (parts.Length < values.Count || parts.Any(part => !JsonNode.DeepEquals(part["kind"], parts[0]["kind"])))
            return [new(key, values)];
        return parts.SelectMany(part => part.Select(entry => entry.Key)).Distinct()
            .SelectMany(name => Below(key.Length == 0 ? name : $"{key}.{name}", [.. parts.Select(part => part[name])]));
    }
}
