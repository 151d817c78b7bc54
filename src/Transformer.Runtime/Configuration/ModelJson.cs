using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization.Metadata;

namespace Transformer.Configuration;

/// <summary>The JSON form of a model's configuration, as the config.json of a checkpoint holds it.</summary>
public static class ModelJson
{
    private static readonly ConfigContract Contract = new(ConfigContext.Default);

    /// <summary>A configuration as JSON, every key written.</summary>
    public static JsonNode ToJson(ModelConfig model) =>
        JsonSerializer.SerializeToNode(model, (JsonTypeInfo<ModelConfig>)Contract.Options.GetTypeInfo(typeof(ModelConfig)))!;

    /// <summary>A configuration read from JSON and checked.</summary>
    /// <param name="json">What <see cref="ToJson"/> gave, or what a user wrote.</param>
    /// <param name="origin">The file that holds it, for messages.</param>
    /// <exception cref="InputException">All that is wrong, one problem per line.</exception>
    public static ModelConfig FromJson(JsonNode? json, string origin)
    {
        var problems = new List<ConfigProblem>();
        var model = new ConfigCheck(Contract.Options, problems).Bind<ModelConfig>(json);
        ConfigProblem.ThrowIfAny(problems, origin);
        return model!;
    }
}
