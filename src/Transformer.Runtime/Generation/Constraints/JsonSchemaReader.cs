using System.Text.Json;
using System.Text.Json.Nodes;
using Transformer.Configuration;

namespace Transformer.Generation.Constraints;

/// <summary>
/// Reads a JSON Schema (2020-12) as an expression. Every text of the expression is valid by the schema, but not every valid text is in it:
/// objects have the schema's properties in its order and no others. Keywords that cannot be expressed are refused with their path in the
/// schema, never ignored.
/// </summary>
internal sealed class JsonSchemaReader
{
    private const int Deepest = 100;

    private static readonly string[] Annotations =
        ["$schema", "$id", "$comment", "$defs", "definitions", "title", "description", "default", "examples", "deprecated", "readOnly",
            "writeOnly"];

    private static readonly Dictionary<string, string[]> KeywordsOf = new()
    {
        ["object"] = ["properties", "required", "additionalProperties"],
        ["array"] = ["items", "minItems", "maxItems"],
        ["string"] = ["minLength", "maxLength", "pattern"],
        ["integer"] = [],
        ["number"] = [],
        ["boolean"] = [],
        ["null"] = [],
    };

    private readonly ExpressionTable table;
    private readonly JsonExpressions json;
    private readonly JsonNode root;
    private readonly Dictionary<string, Expression?> references = [];
    private int depth;

    private JsonSchemaReader(ExpressionTable table, JsonNode root) =>
        (this.table, json, this.root) = (table, new JsonExpressions(table), root);

    /// <summary>Reads a schema.</summary>
    /// <exception cref="InputException">It is no schema, or has keywords that cannot be expressed.</exception>
    public static Expression Read(ExpressionTable table, string schema)
    {
        try
        {
            var root = JsonNode.Parse(schema, documentOptions: new JsonDocumentOptions { AllowDuplicateProperties = false })
                ?? throw new InputException("#: found null, expected a schema");
            var reader = new JsonSchemaReader(table, root);
            return table.Sequence(reader.json.Space, reader.Value(root, "#"));
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            throw new InputException($"not valid JSON ({JsonProblem.Of(e)})", e);
        }
    }

    private Expression Value(JsonNode? node, string path)
    {
        if (depth == Deepest) throw Bad(path, $"schemas within schemas, expected {Deepest} at most");
        depth++;
        var expression = ValueOf(node, path);
        depth--;
        return expression;
    }

    private Expression ValueOf(JsonNode? node, string path)
    {
        if (node is not JsonObject schema)
            throw Bad(
                path,
                $"found {Shown(node)}, expected a schema with a type; any JSON value may nest without end, which is not regular");
        if (schema.ContainsKey("$ref")) return Reference(Only(schema, path, "$ref"), path);
        if (schema.ContainsKey("const")) return Allowed([schema["const"]], Only(schema, path, "const", "type"), path);
        if (schema.ContainsKey("enum")) return Allowed(Some(schema, path, "enum"), Only(schema, path, "enum", "type"), path);
        if (schema.ContainsKey("anyOf"))
        {
            var alternatives = Some(Only(schema, path, "anyOf"), path, "anyOf");
            return table.Choice([.. alternatives.Select((alternative, index) => Value(alternative, $"{path}/anyOf/{index}"))]);
        }
        var types = Types(Only(schema, path, ["type", .. KeywordsOf.Values.SelectMany(keywords => keywords)]), path);
        Only(schema, path, ["type", .. types.SelectMany(type => KeywordsOf[type])]);
        return table.Choice([.. types.Select(type => OfType(type, schema, path))]);
    }

    private Expression OfType(string type, JsonObject schema, string path) => type switch
    {
        "object" => Object(schema, path),
        "array" => List(schema, path),
        "string" => String(schema, path),
        "integer" => json.Integer,
        "number" => json.Number,
        "boolean" => table.Choice(table.Text("true"), table.Text("false")),
        _ => table.Text("null"),
    };

    // A comma precedes each property but the first one present, and which that is depends on the optional ones that are left out.
    private Expression Object(JsonObject schema, string path)
    {
        if (schema.ContainsKey("additionalProperties")
            && schema["additionalProperties"]?.GetValueKind() is not (JsonValueKind.True or JsonValueKind.False))
            throw Bad(
                $"{path}/additionalProperties", "a schema of other properties is not supported, expected true or false; none are written");
        var properties = !schema.ContainsKey("properties") ? []
            : schema["properties"] as JsonObject
            ?? throw Bad($"{path}/properties", $"found {Shown(schema["properties"])}, expected an object");
        string[] required = !schema.ContainsKey("required") ? []
            : [.. Array(schema, path, "required").Select(name => Text(name, $"{path}/required"))];
        if (required.FirstOrDefault(name => !properties.ContainsKey(name)) is { } missing)
            throw Bad($"{path}/required", $"{Shown(missing)} is not among the properties, so its schema is missing");

        Expression first = table.Empty, later = table.Empty;    // the rest if no property was written yet, and if one was
        foreach (var (name, value) in properties.Reverse())
        {
            var property = json.Property(name, Value(value, $"{path}/properties/{name}"));
            var next = table.Sequence(json.Comma, property);
            var isRequired = required.Contains(name);
            first = isRequired ? table.Sequence(property, later) : table.Choice(table.Sequence(property, later), first);
            later = table.Sequence(isRequired ? next : table.Optional(next), later);
        }
        return json.Within("{", first, "}");
    }

    private Expression List(JsonObject schema, string path)
    {
        var (least, most) = Bounds(schema, path, "minItems", "maxItems");
        if (most == 0) return json.Within("[", table.Empty, "]");
        if (!schema.ContainsKey("items")) throw Bad($"{path}/items", "missing, expected a schema of the items");
        var item = Value(schema["items"], $"{path}/items");
        var some = table.Sequence(item, table.Repeat(table.Sequence(json.Comma, item), Math.Max(0, least - 1), most - 1));
        return json.Within("[", least == 0 ? table.Optional(some) : some, "]");
    }

    private Expression String(JsonObject schema, string path)
    {
        var (least, most) = Bounds(schema, path, "minLength", "maxLength");
        if (!schema.ContainsKey("pattern")) return json.String(table.Repeat(json.Character, least, most));
        if (schema.ContainsKey("minLength") || schema.ContainsKey("maxLength"))
            throw Bad($"{path}/pattern", "not supported beside minLength or maxLength; say the length by the pattern, [a-z]{2,8} for one");
        try
        {
            return json.String(RegexParser.Parse(table, Text(schema["pattern"], $"{path}/pattern"), json.Spelt, search: true));
        }
        catch (InputException e) when (!e.Message.StartsWith('#'))
        {
            throw Bad($"{path}/pattern", e.Message);
        }
    }

    private Expression Allowed(IEnumerable<JsonNode?> values, JsonObject schema, string path)
    {
        string[] types = schema.ContainsKey("type") ? Types(schema, path) : [.. KeywordsOf.Keys];
        return table.Choice([.. values.Select(value => types.Any(type => IsOf(type, value))
            ? json.Literal(value)
            : throw Bad(path, $"{Shown(value)} is not of type {string.Join(" or ", types)}"))]);
    }

    private Expression Reference(JsonObject schema, string path)
    {
        var pointer = Text(schema["$ref"], $"{path}/$ref");
        if (references.TryGetValue(pointer, out var known))
            return known ?? throw Bad(
                $"{path}/$ref",
                $"{Shown(pointer)} contains itself: values that nest without end are not regular; write out as many levels as you need");
        if (pointer != "#" && !pointer.StartsWith("#/", StringComparison.Ordinal))
            throw Bad($"{path}/$ref", $"{Shown(pointer)} is not supported, expected a path in this schema such as #/$defs/name");
        references[pointer] = null;
        var expression = Value(Found(pointer, path), pointer);
        references[pointer] = expression;
        return expression;
    }

    private JsonNode? Found(string pointer, string path)
    {
        JsonNode? node = root;
        foreach (var step in pointer.Split('/').Skip(1).Select(step => Uri.UnescapeDataString(step).Replace("~1", "/").Replace("~0", "~")))
        {
            node = node switch
            {
                JsonObject inner when inner.TryGetPropertyValue(step, out var value) => value,
                JsonArray inner when int.TryParse(step, out var index) && index >= 0 && index < inner.Count => inner[index],
                _ => throw Bad($"{path}/$ref", $"{Shown(pointer)} is not there"),
            };
        }
        return node;
    }

    private static string[] Types(JsonObject schema, string path)
    {
        string[] types = schema["type"] switch
        {
            null => throw Bad($"{path}/type", "missing, expected a type, enum, const, anyOf or $ref"),
            JsonArray several => [.. several.Select(type => Text(type, $"{path}/type")).Distinct()],
            var one => [Text(one, $"{path}/type")],
        };
        if (types.Length == 0) throw Bad($"{path}/type", "found no type, expected one");
        return types.FirstOrDefault(type => !KeywordsOf.ContainsKey(type)) is { } unknown
            ? throw Bad($"{path}/type", $"found {Shown(unknown)}, expected one of {string.Join(", ", KeywordsOf.Keys)}")
            : types;
    }

    private static bool IsOf(string type, JsonNode? value) => (type, value?.GetValueKind() ?? JsonValueKind.Null) switch
    {
        ("object", JsonValueKind.Object) or ("array", JsonValueKind.Array) or ("string", JsonValueKind.String) => true,
        ("number", JsonValueKind.Number) or ("boolean", JsonValueKind.True or JsonValueKind.False) or ("null", JsonValueKind.Null) => true,
        ("integer", JsonValueKind.Number) => value!.GetValue<JsonElement>().TryGetInt64(out _),
        _ => false,
    };

    private static (int Least, int? Most) Bounds(JsonObject schema, string path, string least, string most)
    {
        var bounds = (Least: Count(schema, path, least) ?? 0, Most: Count(schema, path, most));
        return bounds.Most < bounds.Least ? throw Bad(
            $"{path}/{most}", $"found {bounds.Most}, expected {bounds.Least} or more, as {least} says") : bounds;
    }

    private static int? Count(JsonObject schema, string path, string key) =>
        !schema.ContainsKey(key) ? null
        : schema[key] is JsonValue value && value.GetValueKind() == JsonValueKind.Number
        && value.GetValue<JsonElement>().TryGetInt32(out var count) && count >= 0 ? count
        : throw Bad($"{path}/{key}", $"found {Shown(schema[key])}, expected an integer, 0 or more");

    // Refuses all other keywords.
    private static JsonObject Only(JsonObject schema, string path, params string[] keywords) =>
        schema.Select(pair => pair.Key).FirstOrDefault(key => !keywords.Contains(key) && !Annotations.Contains(key)) is { } unknown
            ? throw Bad($"{path}/{unknown}", $"not supported here, expected {string.Join(", ", keywords)} alone, or leave it out")
            : schema;

    private static JsonArray Array(JsonObject schema, string path, string key) =>
        schema[key] as JsonArray ?? throw Bad($"{path}/{key}", $"found {Shown(schema[key])}, expected an array");

    private static JsonArray Some(JsonObject schema, string path, string key) =>
        Array(schema, path, key) is { Count: > 0 } array ? array : throw Bad($"{path}/{key}", "found none, expected one or more");

    private static string Text(JsonNode? node, string path) =>
        node?.GetValueKind() == JsonValueKind.String ? node.GetValue<string>() : throw Bad(path, $"found {Shown(node)}, expected a text");

    private static string Shown(JsonNode? node) => node?.ToJsonString() is { } text ? text.Length > 60 ? text[..60] + "..." : text : "null";

    private static InputException Bad(string path, string problem) => new($"{path}: {problem}");
}
