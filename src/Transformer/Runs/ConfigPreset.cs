using System.Text.Json;
using System.Text.Json.Nodes;
using Transformer.Configuration;

namespace Transformer.Runs;

/// <summary>
/// Merges a preset's keys with the keys of a file, which override them: <c>model: {preset: gpt2, context_length: 512}</c>.
/// </summary>
internal static class ConfigPreset
{
    /// <summary>The key of the preset in a file.</summary>
    public const string Path = "model.preset";

    /// <summary>Replaces the file's preset or, if the file spells its model out, that model.</summary>
    public static void Choose(JsonObject root, JsonNode? name)
    {
        if (root["model"] is JsonObject model && model.ContainsKey("preset")) model["preset"] = name?.DeepClone();
        else root["model"] = new JsonObject { ["preset"] = name?.DeepClone() };
    }

    /// <summary>
    /// Replaces the name of the preset by its keys, except those that the file gives. A wrong name is added to the problems.
    /// </summary>
    public static void Expand(JsonObject root, List<ConfigProblem> problems)
    {
        if (root["model"] is not JsonObject model || !model.Remove("preset", out var node)) return;
        var name = node?.GetValueKind() == JsonValueKind.String ? node.GetValue<string>() : null;
        if (name is null)
            problems.Add(new(Path, $"found {ConfigScalar.Found(node)}, expected one of {string.Join(", ", ConfigLibrary.Presets)}"));
        else if (!ConfigLibrary.Presets.Contains(name))
            problems.Add(new(Path, Spelling.NotOneOf(name, ConfigLibrary.Presets)));
        // A misspelt preset is replaced by the nearest one, so that the rest of the file is checked too.
        var preset = Spelling.Nearest(name ?? "", ConfigLibrary.Presets) ?? ConfigLibrary.Presets[0];
        root["model"] = Merge(Read(preset), model);
    }

    /// <summary>The keys of a preset.</summary>
    public static JsonObject Read(string name) => YamlReader.Read(ConfigLibrary.Preset(name), name, [])!.AsObject();

    // Parts are merged key by key, but a part of another kind replaces the whole.
    private static JsonObject Merge(JsonObject below, JsonObject above)
    {
        foreach (var (key, value) in above)
        {
            below[key] = below[key] is JsonObject old && value is JsonObject given && IsSameKind(old, given)
                ? Merge(old.DeepClone().AsObject(), given)
                : value?.DeepClone();
        }
        return below;
    }

    private static bool IsSameKind(JsonObject old, JsonObject given) =>
        given["kind"] is not { } kind || JsonNode.DeepEquals(kind, old["kind"]);
}
