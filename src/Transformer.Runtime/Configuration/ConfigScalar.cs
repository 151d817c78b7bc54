using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization.Metadata;

namespace Transformer.Configuration;

/// <summary>What a single value must be, and how messages show it.</summary>
internal static class ConfigScalar
{
    /// <summary>What is wrong with a value of this type, or null.</summary>
    public static string? Problem(JsonNode node, JsonTypeInfo info)
    {
        var found = node.GetValueKind();
        if (Words(info.Type, info) is { } names)
        {
            if (found != JsonValueKind.String) return $"found {Found(node)}, expected one of {string.Join(", ", names)}";
            return names.Contains(node.GetValue<string>()) ? null : Spelling.NotOneOf(node.GetValue<string>(), names);
        }
        var fits = Type.GetTypeCode(info.Type) switch
        {
            TypeCode.Boolean => found is JsonValueKind.True or JsonValueKind.False,
            TypeCode.String => found == JsonValueKind.String,
            TypeCode.Int32 => Integer(node) is >= int.MinValue and <= int.MaxValue,
            TypeCode.Int64 => Integer(node) is not null,
            TypeCode.Double => Integer(node) is not null || Real(node) is { } number && double.IsFinite(number),
            _ => CanBind(node, info),
        };
        return fits ? null : $"found {Found(node)}, expected {Expected(info)}";
    }

    /// <summary>What a value of this type looks like, in words.</summary>
    public static string Expected(JsonTypeInfo info)
    {
        var type = Nullable.GetUnderlyingType(info.Type) ?? info.Type;
        if (Words(type, info) is { } words) return $"one of {string.Join(", ", words)}";
        return (info.Kind, Type.GetTypeCode(type)) switch
        {
            (JsonTypeInfoKind.Object or JsonTypeInfoKind.Dictionary, _) => "keys and values",
            (JsonTypeInfoKind.Enumerable, _) => "a list",
            (_, TypeCode.Boolean) => "true or false",
            (_, TypeCode.String) => "text",
            (_, TypeCode.Int32) => "a whole number of at most ten digits",
            (_, TypeCode.Int64) => "a whole number",
            (_, TypeCode.Double) => "a finite number",
            _ => "another value",
        };
    }

    /// <summary>A value as a message shows it.</summary>
    public static string Found(JsonNode? node) => node switch
    {
        null => "nothing",
        JsonObject => "keys and values",
        JsonArray => "a list",
        _ => node.GetValueKind() switch
        {
            JsonValueKind.String => $"the text \"{node.GetValue<string>()}\"",
            JsonValueKind.Number => Number(node),
            _ => node.ToJsonString(),
        },
    };

    /// <summary>A value that fits its type, in the form in which the serializer reads it: 1e2 is 100 where the number is whole.</summary>
    public static JsonNode Plain(JsonNode node, JsonTypeInfo info) =>
        Type.GetTypeCode(info.Type) is TypeCode.Int32 or TypeCode.Int64 && !info.Type.IsEnum ? JsonValue.Create(Integer(node)!.Value)
            : node.DeepClone();

    /// <summary>The value as an integer, however it is written; null where it is none.</summary>
    private static long? Integer(JsonNode node)
    {
        if (node is not JsonValue value || value.GetValueKind() != JsonValueKind.Number) return null;
        if (value.TryGetValue(out long number)) return number;
        return Real(node) is { } real ? Whole(real) : null;
    }

    /// <summary>A number that is whole and exact, such as 1e2; null for others.</summary>
    public static long? Whole(double number) => double.IsInteger(number) && Math.Abs(number) < 1L << 53 ? (long)number : null;

    private static double? Real(JsonNode node) => node is JsonValue value && value.TryGetValue(out double number) ? number : null;

    // As it was typed. JSON knows neither infinity nor NaN; YAML spells them so.
    private static string Number(JsonNode node) => node is JsonValue value && value.TryGetValue(out JsonElement typed) ? typed.GetRawText()
        : Real(node) switch
        {
            double.PositiveInfinity => ".inf",
            double.NegativeInfinity => "-.inf",
            double.NaN => ".nan",
            _ => node.ToJsonString(),
        };

    // The words that a value of this type may be; null if it is not one of a list of words.
    private static List<string>? Words(Type type, JsonTypeInfo info)
    {
        if (type == typeof(LinearRule)) return [.. LinearRule.All.Select(rule => rule.Name)];
        if (!type.IsEnum) return null;
        return [.. Enum.GetValuesAsUnderlyingType(type).Cast<object>()
            .Select(value => JsonSerializer.SerializeToNode(Enum.ToObject(type, value), info)!.GetValue<string>())];
    }

    // Only the converter of a type that has one knows what it accepts.
    private static bool CanBind(JsonNode node, JsonTypeInfo info)
    {
        try
        {
            node.Deserialize(info);
            return true;
        }
        catch (JsonException)
        {
            return false;
        }
    }
}
