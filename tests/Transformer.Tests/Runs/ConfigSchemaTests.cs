using System.Text.Json.Nodes;
using Transformer.Runs;

namespace Transformer.Tests.Runs;

public class ConfigSchemaTests
{
    private static readonly JsonObject Schema = ConfigSchema.Create();

    public static TheoryData<string> Recipes => [.. ConfigLibrary.Recipes];

    [Theory, MemberData(nameof(Recipes))]
    public void Every_key_of_every_recipe_is_in_the_schema(string recipe)
    {
        AssertAccepts(Schema, ConfigJson.ToJson(ConfigFile.Load(recipe, [])), recipe);
    }

    [Fact]
    public void Every_object_refuses_unknown_keys()
    {
        var open = Objects(Schema).Where(node => node.ContainsKey("properties") && (bool?)node["additionalProperties"] != false)
            .Select(node => node.GetPath());
        Assert.Empty(open);
    }

    [Fact]
    public void A_kind_is_a_constant_of_its_alternative()
    {
        var kinds = At("model", "mlp")["anyOf"]!.AsArray().Select(alternative => (string?)alternative!["properties"]!["kind"]!["const"]);
        Assert.Equal(["gelu", "gelu_tanh", "relu", "relu_squared", "swiglu", "mixture", "none"], kinds);
    }

    [Fact]
    public void Descriptions_are_the_summaries_of_the_records()
    {
        Assert.Equal("C, the width of the residual stream.", (string?)At("model", "width")["description"]);
        Assert.StartsWith("A text file, a folder of prepared token files, or a built-in corpus: builtin:tinyshakespeare, builtin:names.",
            (string?)At("data", "path")["description"]);
    }

    [Fact]
    public void A_preset_stands_for_the_required_keys_of_the_model()
    {
        var names = At("model", "preset")["enum"]!.AsArray().Select(name => (string)name!);
        Assert.Equal(ConfigLibrary.Presets, names);
        var choices = At("model")["anyOf"]!.AsArray().Select(choice => string.Join(' ', choice!["required"]!.AsArray()));
        Assert.Equal(["preset", "width context_length layers"], choices);
    }

    [Fact]
    public void The_AdamW_of_muon_may_give_its_kind_and_needs_no_key()
    {
        var kinds = At("training", "optimizer")["anyOf"]!.AsArray();
        var muon = kinds.Single(kind => (string?)kind!["properties"]!["kind"]!["const"] == "muon");
        var adamw = muon!["properties"]!["adamw"]!;
        Assert.Equal("adamw", (string?)adamw["properties"]!["kind"]!["const"]);
        Assert.Null(adamw["required"]);
    }

    [Fact]
    public void Words_of_a_choice_are_listed()
    {
        Assert.Equal("""["shuffled","random","contiguous",null]""", At("data", "sampling")["enum"]!.ToJsonString());
        Assert.Equal("""[{"required":["path"]},{"required":["task"]}]""", At("data")["anyOf"]!.ToJsonString());
    }

    private static JsonObject At(params string[] keys) =>
        keys.Aggregate(Schema, (schema, key) => schema["properties"]![key]!.AsObject());

    // Follows the keys of a value through the schema, and `kind` through the alternatives.
    private static void AssertAccepts(JsonObject schema, JsonNode? value, string path)
    {
        if (value is not JsonObject record) return;
        if ((string?)schema["$ref"] is { } reference) schema = Referred(reference);
        var kind = (string?)record["kind"];
        if (kind is not null && schema["anyOf"] is JsonArray alternatives && alternatives[0]!["properties"] is not null)
            schema = alternatives.Single(alternative => (string?)alternative!["properties"]!["kind"]!["const"] == kind)!.AsObject();
        foreach (var (key, part) in record)
        {
            // Names of one's own all have the same schema.
            var found = schema["properties"]?[key] ?? schema["additionalProperties"] as JsonObject;
            Assert.True(found is not null, $"{path}.{key} is not in the schema");
            AssertAccepts(found.AsObject(), part, $"{path}.{key}");
        }
    }

    // A schema that occurred before is a reference: #/properties/model/...
    private static JsonObject Referred(string reference) => reference.Split('/')[1..]
        .Aggregate((JsonNode)Schema, (node, key) => node is JsonArray list ? list[int.Parse(key)]! : node[key]!).AsObject();

    private static IEnumerable<JsonObject> Objects(JsonNode? node) => node switch
    {
        JsonObject mapping => mapping.SelectMany(entry => Objects(entry.Value)).Prepend(mapping),
        JsonArray list => list.SelectMany(Objects),
        _ => [],
    };
}
