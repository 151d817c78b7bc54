using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using Transformer.Configuration;

namespace Transformer.Runs;

/// <summary>The JSON form of the configuration records: snake_case names, parts told apart by <c>kind</c>, unknown keys refused.</summary>
public static class ConfigJson
{
    /// <summary>The options by which every configuration record is read and written.</summary>
    public static JsonSerializerOptions Options { get; } = CreateOptions();

    /// <summary>A record as JSON, every key written.</summary>
    public static JsonNode ToJson<T>(T record) where T : notnull => JsonSerializer.SerializeToNode(record, Options)!;

    /// <summary>A record read from JSON and checked.</summary>
    /// <param name="json">What <see cref="ToJson"/> gave, or what a user wrote.</param>
    /// <param name="origin">The file that holds it, for messages.</param>
    /// <exception cref="InputException">All that is wrong, one line a problem.</exception>
    public static T FromJson<T>(JsonNode? json, string origin) where T : notnull
    {
        var problems = new List<ConfigProblem>();
        var record = Bind<T>(json, problems);
        ConfigProblem.ThrowIfAny(problems, origin);
        return record!;
    }

    /// <summary>The record, as far as it can be bound; what is wrong with it joins the problems.</summary>
    internal static T? Bind<T>(JsonNode? json, List<ConfigProblem> problems) where T : notnull
    {
        var sound = new ConfigCheck(Options, problems).Check(json, typeof(T));
        return sound is null ? default : sound.Deserialize<T>(Options);
    }

    private static JsonSerializerOptions CreateOptions()
    {
        var options = new JsonSerializerOptions
        {
            PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
            UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
            AllowOutOfOrderMetadataProperties = true,
            RespectNullableAnnotations = true,
            // The files are read by people, not embedded in HTML: a quote or an accent stays what it is.
            Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
            WriteIndented = true,
            TypeInfoResolver = new DefaultJsonTypeInfoResolver { Modifiers = { KeepSettableProperties, OrderAsDeclared } },
        };
        options.MakeReadOnly();
        return options;
    }

    // A computed property is not a key of the file.
    private static void KeepSettableProperties(JsonTypeInfo type)
    {
        foreach (var computed in type.Properties.Where(property => property.Set is null).ToList()) type.Properties.Remove(computed);
    }

    // Reflection lists a derived record's own properties first; a reader expects what all kinds share before what one kind adds.
    private static void OrderAsDeclared(JsonTypeInfo type)
    {
        foreach (var property in type.Properties) property.Order = Depth(((System.Reflection.MemberInfo)property.AttributeProvider!).DeclaringType!);
    }

    private static int Depth(Type type) => type.BaseType is { } parent ? 1 + Depth(parent) : 0;
}
