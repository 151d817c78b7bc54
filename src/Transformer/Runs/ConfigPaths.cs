using System.Text.Json;
using System.Text.Json.Nodes;

namespace Transformer.Runs;

/// <summary>
/// The paths in a run's configuration. In a file they count from the file's own folder, on the command line from the working directory; a
/// run's folder holds them absolute.
/// </summary>
internal static class ConfigPaths
{
    private static readonly string[] Keys =
    [
        "data.path", "data.validation_path", "data.tokenizer.vocabulary", "data.tokenizer.merges", "data.tokenizer.path",
        "data.pieces.vocabulary", "data.pieces.merges", "data.pieces.path", "training.init_from",
    ];

    /// <summary>Makes the paths of a run's tree absolute.</summary>
    /// <param name="run">The tree; keys that are missing or not text are left as they are.</param>
    /// <param name="folder">The absolute path of the folder from which relative ones count.</param>
    public static void Resolve(JsonObject run, string folder)
    {
        foreach (var (_, owner, name, path) in In(run)) owner[name] = Path.GetFullPath(path, folder);
    }

    /// <summary>The first key of a run whose path leads nowhere; null where there is none.</summary>
    public static string? Missing(RunConfig run) =>
        In(ConfigJson.ToJson(run).AsObject()).Where(found => !Path.Exists(found.Path)).Select(found => found.Key).FirstOrDefault();

    /// <summary>The same run with absolute paths; relative ones count from the working directory.</summary>
    public static RunConfig Absolute(RunConfig run)
    {
        var tree = new JsonObject
        {
            ["data"] = ConfigJson.ToJson(run.Data),
            ["training"] = new JsonObject { ["init_from"] = run.Training.InitFrom }
        };
        Resolve(tree, Environment.CurrentDirectory);
        return run with
        {
            Data = ConfigJson.FromJson<DataConfig>(tree["data"], "data"),
            Training = run.Training with { InitFrom = tree["training"]!["init_from"]?.GetValue<string>() },
        };
    }

    private static IEnumerable<(string Key, JsonObject Owner, string Name, string Path)> In(JsonObject run)
    {
        foreach (var key in Keys)
        {
            var names = key.Split('.');
            var owner = names[..^1].Aggregate((JsonNode?)run, (node, name) => (node as JsonObject)?[name]) as JsonObject;
            if (owner?[names[^1]] is { } value && value.GetValueKind() == JsonValueKind.String && IsPath(value.GetValue<string>()))
                yield return (key, owner, names[^1], value.GetValue<string>());
        }
    }

    private static bool IsPath(string text) =>
        text.Length > 0 && !text.Contains('\0') && !text.StartsWith(DataConfig.BuiltInPrefix, StringComparison.Ordinal);
}
