using System.Reflection;
using System.Text.Json.Nodes;
using System.Text.Json.Schema;
using System.Text.Json.Serialization.Metadata;
using Transformer.Configuration;

namespace Transformer.Runs;

/// <summary>The JSON Schema of a run's file, generated from the records, so that editors complete and check it.</summary>
public static class ConfigSchema
{
    private const string Hourglass = "#/$defs/hourglass";

    /// <summary>The schema (draft 2020-12). Descriptions are the records' XML documentation, if its file is beside the assembly.</summary>
    public static JsonObject Create()
    {
        var summaries = XmlSummaries.Load(
            [typeof(ConfigSchema).Assembly, typeof(ModelConfig).Assembly, .. AddedKinds.Names.Keys.Select(kind => kind.Assembly)]);
        var exporter = new JsonSchemaExporterOptions
        {
            TreatNullObliviousAsNonNullable = true,
            TransformSchemaNode = (context, node) => Transform(context, node, summaries),
        };
        var schema = ConfigJson.Options.GetJsonSchemaAsNode(typeof(RunConfig), exporter).AsObject();
        schema.Insert(0, "$schema", "https://json-schema.org/draft/2020-12/schema");
        // Hourglasses hold layers, which hold hourglasses.
        var hourglass = ConfigJson.Options.GetJsonSchemaAsNode(typeof(HourglassConfig), exporter);
        MoveReferences(hourglass);
        schema["$defs"] = new JsonObject { ["hourglass"] = hourglass };
        return schema;
    }

    // References count from the root of what was exported.
    private static void MoveReferences(JsonNode? node)
    {
        if (node is JsonObject part)
        {
            if ((string?)part["$ref"] is ['#', ..] reference && reference != Hourglass) part["$ref"] = Hourglass + reference[1..];
            foreach (var (_, value) in part) if (value is JsonObject or JsonArray) MoveReferences(value);
        }
        foreach (var item in node as JsonArray ?? []) MoveReferences(item);
    }

    private static JsonNode Transform(JsonSchemaExporterContext context, JsonNode node, XmlSummaries summaries)
    {
        if (context.TypeInfo.Type == typeof(LinearRule))
            node = new JsonObject { ["enum"] = Words(LinearRule.All.Select(rule => rule.Name)) };
        if (context.TypeInfo.Type == typeof(LayersConfig)) node = Layers();
        if (node is not JsonObject schema) return node;
        if (context.TypeInfo.Type == typeof(ModelConfig)) AddPreset(schema);
        if (context.TypeInfo.Type == typeof(AdamWConfig) && context.BaseTypeInfo is null) AddOnlyKind(schema);
        if (context.PropertyInfo is { } property) AddDefaultKind(schema, property);
        if (context.TypeInfo.Type == typeof(DataConfig)) schema["anyOf"] = new JsonArray(Requires("path"), Requires("task"));
        // The property's summary if there is one, else the type's.
        var summary = summaries.Of((MemberInfo?)context.PropertyInfo?.AttributeProvider ?? context.TypeInfo.Type);
        if (summary is not null) schema.Insert(0, "description", summary);
        return schema;
    }

    private static JsonObject Layers() => new()
    {
        ["anyOf"] = new JsonArray(Blocks(), new JsonObject
        {
            ["type"] = "array",
            ["minItems"] = 1,
            ["items"] = new JsonObject { ["anyOf"] = new JsonArray(Blocks(), new JsonObject { ["$ref"] = Hourglass }) },
        }),
    };

    private static JsonObject Blocks() => new() { ["type"] = "integer" };

    // With a preset, its keys are not required.
    private static void AddPreset(JsonObject model)
    {
        model["properties"]!.AsObject().Insert(0, "preset", new JsonObject
        {
            ["description"] = "An architecture to start from; the other keys override it.",
            ["enum"] = Words(ConfigLibrary.Presets),
        });
        model.Remove("required", out var required);
        model["anyOf"] = new JsonArray(Requires("preset"), new JsonObject { ["required"] = required });
    }

    // A part with a default has its kind where none is given.
    private static void AddDefaultKind(JsonObject part, JsonPropertyInfo property)
    {
        if (part["anyOf"] is not JsonArray kinds || property.IsRequired) return;
        var owner = ConfigJson.Options.GetTypeInfo(property.DeclaringType).CreateObject?.Invoke();
        if (owner is null || property.Get?.Invoke(owner) is not { } initial) return;
        foreach (var kind in kinds.OfType<JsonObject>())
            if ((string?)kind["properties"]?["kind"]?["const"] == Kind.NameOf(initial) && kind["required"] is JsonArray required)
                required.Remove(required.First(key => (string?)key == "kind"));
    }

    // The AdamW of muon: its kind may be given and is always the same, and every key has a default.
    private static void AddOnlyKind(JsonObject part)
    {
        part["properties"]!.AsObject().Insert(0, "kind", new JsonObject { ["const"] = Kind.NameOf(typeof(AdamWConfig)) });
        part.Remove("required");
    }

    private static JsonArray Words(IEnumerable<string> words) => new([.. words.Select(word => JsonValue.Create(word))]);

    private static JsonObject Requires(string key) => new() { ["required"] = new JsonArray(key) };
}
