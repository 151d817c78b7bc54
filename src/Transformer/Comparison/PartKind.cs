using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization.Metadata;
using Transformer.Configuration;
using Transformer.Runs;

namespace Transformer.Comparison;

/// <summary>The kind of a part of a configuration, given another value while the rest of the part stays as far as it can.</summary>
internal static class PartKind
{
    /// <summary>What the key of a kind ends with.</summary>
    public const string Suffix = ".kind";

    /// <summary>Whether a key is that of a part's kind.</summary>
    public static bool IsNamedBy(string key) => key.EndsWith(Suffix, StringComparison.Ordinal);

    /// <summary>
    /// Gives a part another kind: keys that the new kind does not have are dropped, since a softmax attention's <c>query_key_norm</c> means
    /// nothing to a linear one.
    /// </summary>
    /// <param name="run">A run with every key written.</param>
    /// <param name="key">The key of the kind, such as <c>model.attention.kind</c>.</param>
    /// <param name="kind">Its new value.</param>
    /// <returns>The dropped keys whose values were not their defaults.</returns>
    public static IReadOnlyList<string> Change(JsonObject run, string key, string kind)
    {
        var (node, family) = ((JsonNode?)run, (JsonTypeInfo?)ConfigJson.Options.GetTypeInfo(typeof(RunConfig)));
        foreach (var name in key[..^Suffix.Length].Split('.'))
        {
            family = family is null ? null : Property(RecordOf(family, node), name);
            node = (node as JsonObject)?[name];
        }
        if (node is not JsonObject part) throw new InputException($"--vary {key}: there is no such part in this configuration");
        var old = family is null ? null : Derived(family, part["kind"]?.GetValue<string>() ?? "");
        part["kind"] = kind;
        if (family is null || Derived(family, kind) is not { } record) return [];    // the configuration's own check names what is wrong
        var known = record.Properties.Select(property => property.Name).ToHashSet();
        var unknown = part.Where(entry => entry.Key != "kind" && !known.Contains(entry.Key)).ToList();
        foreach (var (name, _) in unknown) part.Remove(name);
        return [.. unknown.Where(entry => !IsDefault(old, entry.Key, entry.Value)).Select(entry => entry.Key)];
    }

    private static bool IsDefault(JsonTypeInfo? record, string name, JsonNode? value) =>
        record?.CreateObject?.Invoke() is { } initial
            && record.Properties.FirstOrDefault(property => property.Name == name) is { Get: { } get }
            && JsonNode.DeepEquals(JsonSerializer.SerializeToNode(get(initial), ConfigJson.Options), value);

    // The type of a key's value; a part's is its family, which knows all kinds.
    private static JsonTypeInfo? Property(JsonTypeInfo record, string name)
    {
        var found = record.Kind == JsonTypeInfoKind.Dictionary ? record.ElementType
            : record.Properties.FirstOrDefault(property => property.Name == name)?.PropertyType;
        return found is null ? null : ConfigJson.Options.GetTypeInfo(found);
    }

    private static JsonTypeInfo RecordOf(JsonTypeInfo family, JsonNode? part) =>
        (part as JsonObject)?["kind"]?.GetValue<string>() is { } kind ? Derived(family, kind) ?? family : family;

    private static JsonTypeInfo? Derived(JsonTypeInfo family, string kind) =>
        family.PolymorphismOptions?.DerivedTypes.Where(derived => derived.TypeDiscriminator as string == kind)
            .Select(derived => ConfigJson.Options.GetTypeInfo(derived.DerivedType)).FirstOrDefault();
}
