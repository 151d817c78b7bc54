using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization.Metadata;
using Transformer.Configuration;

namespace Transformer.Runs;

/// <summary>The JSON form of all configuration records, those of a run as well as those of its model.</summary>
public static class ConfigJson
{
    private static readonly ConfigContract Contract =
        new(JsonTypeInfoResolver.Combine(ConfigContext.Default, new DefaultJsonTypeInfoResolver()));

    /// <summary>The options by which every configuration record is read and written. Others once a kind has been added.</summary>
    public static JsonSerializerOptions Options => Contract.Options;

    /// <summary>A record as JSON, every key written.</summary>
    public static JsonNode ToJson<T>(T record) where T : notnull => JsonSerializer.SerializeToNode(record, Options)!;

    /// <summary>A record read from JSON and checked.</summary>
    /// <param name="json">What <see cref="ToJson"/> gave, or what a user wrote.</param>
    /// <param name="origin">The file that holds it, for messages.</param>
    /// <exception cref="InputException">All that is wrong, one problem per line.</exception>
    public static T FromJson<T>(JsonNode? json, string origin) where T : notnull
    {
        var problems = new List<ConfigProblem>();
        var record = Bind<T>(json, problems);
        ConfigProblem.ThrowIfAny(problems, origin);
        return record!;
    }

    /// <summary>The record, as far as it can be bound; what is wrong with it joins the problems.</summary>
    internal static T? Bind<T>(JsonNode? json, List<ConfigProblem> problems) where T : notnull =>
        new ConfigCheck(Options, problems).Bind<T>(json);
}
