using System.Text.Json.Nodes;
using Transformer.Cli;
using Transformer.Runs;
using Transformer.Tests.Cli;

namespace Transformer.Tests.Runs;

/// <summary>Every whole number of a run's file, as large as it can be.</summary>
public class ConfigBoundTests
{
    private static readonly JsonObject Schema = ConfigSchema.Create();

    /// <summary>A key, and the overrides that make its part be there.</summary>
    public static TheoryData<string, string> WholeNumbers { get; } = new(
        Keys(Schema, "", []).Select(key => (key.Path, string.Join('\n', key.Sets))).DistinctBy(key => key).ToArray());

    [Fact]
    public void There_are_many_whole_numbers() => Assert.InRange(WholeNumbers.Count, 50, 500);

    [Theory, MemberData(nameof(WholeNumbers))]
    public async Task A_number_as_large_as_can_be_is_answered_or_refused_at_once(string key, string sets)
    {
        string[] overrides = ["model.vocabulary_size=256", .. sets.Split('\n', StringSplitOptions.RemoveEmptyEntries), $"{key}=2147483647"];
        var request = Task.Run(
            () => CliRun.Of(["config", "show", "names", .. overrides.SelectMany(set => new[] { "--set", set }), "--json"]),
            TestContext.Current.CancellationToken);
        var run = await request.WaitAsync(TimeSpan.FromSeconds(20), TestContext.Current.CancellationToken);
        Assert.True(run.Code is CommandLine.Done or CommandLine.Refused, run.Error);
        if (run.Code == CommandLine.Refused) Assert.Contains($"{key}: ", run.Error);
        else Assert.DoesNotContain(":-", run.Json["size"]!.ToJsonString());
    }

    [Fact]
    public async Task A_model_of_30_000_layers_is_answered_in_seconds()
    {
        var request = Task.Run(
            () => CliRun.Of("config show names --set model.vocabulary_size=256 --set model.layers=30000"),
            TestContext.Current.CancellationToken);
        Assert.Equal(CommandLine.Done, (await request.WaitAsync(TimeSpan.FromSeconds(20), TestContext.Current.CancellationToken)).Code);
    }

    private static IEnumerable<(string Path, string[] Sets)> Keys(JsonObject schema, string path, string[] sets)
    {
        foreach (var (key, node) in schema["properties"]?.AsObject() ?? [])
        {
            var (part, below) = (Resolved(node!), path.Length == 0 ? key : $"{path}.{key}");
            if (part["type"] is { } type && type.ToJsonString().Contains("integer")) yield return (below, sets);
            foreach (var found in Keys(part, below, sets)) yield return found;
            // A part in another of its kind would be for ever within itself.
            if (part["anyOf"] is not JsonArray kinds || below.Contains("expert") || below.Contains("mixers")) continue;
            foreach (var kind in kinds.Select(kind => Resolved(kind!)).Where(kind => kind["properties"]?["kind"] is not null))
                foreach (var found in Keys(kind, below, [.. sets.Where(set => !set.StartsWith("model.preset")), Part(below, Value(kind))]))
                    yield return found;
        }
    }

    // A task stands in the place of the text.
    private static string Part(string path, string value) =>
        path == "data.task" ? $"data={{task: {value}}}" : $"{path}={value}";

    // A part with what its kind requires.
    private static string Value(JsonObject kind) => "{" + string.Join(", ", kind["properties"]!.AsObject()
        .Where(entry => entry.Key == "kind" || kind["required"]?.AsArray().Any(key => (string?)key == entry.Key) is true)
        .Select(entry => (entry.Key, Value: Resolved(entry.Value!)))
        .Select(entry => $"{entry.Key}: {(entry.Key == "kind" ? entry.Value["const"] : Example(entry.Key, entry.Value))}")) + "}";

    private static string Example(string key, JsonObject schema) => key switch
    {
        "expert" => "{kind: gelu}",
        "rule" => "delta",
        "learning_rate" => "0.001",
        _ when schema["type"]?.ToJsonString().Contains("string") is true => "a",
        _ => "2",
    };

    private static JsonObject Resolved(JsonNode node)
    {
        if (node is not JsonObject schema) return [];
        if ((string?)schema["$ref"] is not { } reference) return schema;
        JsonNode at = Schema;
        foreach (var word in reference.Split('/').Skip(1)) at = at is JsonArray list ? list[int.Parse(word)]! : at[word]!;
        return Resolved(at);
    }
}
