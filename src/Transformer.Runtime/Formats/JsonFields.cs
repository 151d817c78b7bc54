using System.Text.Json;
using System.Text.Json.Nodes;
using Transformer.Configuration;
using Transformer.Files;

namespace Transformer.Formats;

/// <summary>A JSON object from an untrusted file: every value is checked when it is taken, every error names file and key.</summary>
internal sealed class JsonFields(JsonObject json, string origin)
{
    /// <summary>The file, for messages.</summary>
    public string Origin => origin;

    /// <summary>The object itself.</summary>
    public JsonObject Json => json;

    /// <summary>Reads a file that must hold one object without repeated keys.</summary>
    /// <exception cref="InputException">It cannot be read or holds something else.</exception>
    public static JsonFields Open(string path)
    {
        try
        {
            var node = JsonNode.Parse(
                WholeFile.Bytes(path), documentOptions: new JsonDocumentOptions { AllowDuplicateProperties = false });
            Decode(node);
            return new JsonFields(node as JsonObject ?? throw new InputException($"{path}: expected a JSON object"), path);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            throw new InputException($"{path}: not valid JSON ({JsonProblem.Of(e)})", e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InputException($"{path}: cannot be read ({e.Message})", e);
        }
    }

    /// <summary>Whether the key is there and not null.</summary>
    public bool Has(string key) => json[key] is not null;

    /// <summary>Whether the key is there, perhaps as null.</summary>
    public bool Mentions(string key) => json.ContainsKey(key);

    /// <summary>A node without any check, or null.</summary>
    public JsonNode? Node(string key) => json[key];

    /// <summary>An object, or null where absent.</summary>
    public JsonFields? Object(string key) => json[key] switch
    {
        null => null,
        JsonObject inner => new JsonFields(inner, $"{origin}: {key}"),
        var other => throw Bad(key, $"found {other.ToJsonString()}, expected an object"),
    };

    /// <summary>The keys.</summary>
    public IEnumerable<string> Keys => json.Select(pair => pair.Key);

    /// <summary>An integer from 1 to a limit above that of any real model.</summary>
    public int Size(string key, int limit, int? absent = null) =>
        Take(key, absent, $"an integer from 1 to {limit}", (int value) => value >= 1 && value <= limit);

    /// <summary>A token's id.</summary>
    public int Index(string key) => Take(key, absent: null, "a token's id", (int value) => value >= 0);

    /// <summary>A finite number above 0.</summary>
    public double Positive(string key, double absent) =>
        Take(key, absent, "a number above 0", (double value) => value > 0 && double.IsFinite(value));

    /// <summary>A probability below 1.</summary>
    public double Fraction(string key, double absent) =>
        Take(key, absent, "a number from 0 to less than 1", (double value) => value is >= 0 and < 1);

    /// <summary>A truth value.</summary>
    public bool Flag(string key, bool absent) => Take(key, absent, "true or false", (bool _) => true);

    /// <summary>A string.</summary>
    public string Text(string key, string? absent = null) => json[key] switch
    {
        null => absent ?? throw Bad(key, "missing, expected a string"),
        JsonValue value when value.TryGetValue<string>(out var text) => text,
        var other => throw Bad(key, $"found {other.ToJsonString()}, expected a string"),
    };

    /// <summary>Refuses a switch that the model here does not have.</summary>
    /// <exception cref="InputException">The flag is not as expected.</exception>
    public void Expect(string key, bool expected)
    {
        if (Flag(key, expected) != expected) throw Bad(key, $"found {(!expected ? "true" : "false")}, which this library cannot express");
    }

    /// <summary>An error about a key.</summary>
    public InputException Bad(string key, string problem) => new($"{origin}: {key}: {problem}");

    // Text is decoded only when it is read, and fails then (bytes that are not UTF-8, half of a surrogate pair).
    // Reading all of it here catches those errors.
    private static void Decode(JsonNode? node)
    {
        if (node is JsonObject inner)
            foreach (var (_, value) in inner) Decode(value);
        else if (node is JsonArray array)
            foreach (var value in array) Decode(value);
        else if (node?.GetValueKind() == JsonValueKind.String) node.GetValue<string>();
    }

    private T Take<T>(string key, T? absent, string expected, Func<T, bool> valid) where T : struct => json[key] switch
    {
        null => absent ?? throw Bad(key, $"missing, expected {expected}"),
        JsonValue value when value.TryGetValue<T>(out var number) && valid(number) => number,
        var other => throw Bad(key, $"found {other.ToJsonString()}, expected {expected}"),
    };
}
