using System.Text.Json.Nodes;
using Transformer.Comparison;
using Transformer.Configuration;
using Transformer.Runs;

namespace Transformer.Tests.Comparison;

public sealed class PartKindTests
{
    [Fact]
    public void Keys_that_the_new_kind_has_stay_and_others_go()
    {
        var run = Run();
        var dropped = PartKind.Change(run, "model.attention.kind", "linear");
        Assert.Equal(["query_key_norm"], dropped);
        Assert.Equal(4, run["model"]!["attention"]!["heads"]!.GetValue<int>());
        var attention = ConfigJson.FromJson<RunConfig>(run, "test").Model.Attention;
        Assert.IsType<LinearAttentionConfig>(attention);
    }

    [Fact]
    public void A_part_within_a_part_of_a_kind_can_be_changed()
    {
        var run = Run();
        Assert.Empty(PartKind.Change(run, "training.optimizer.adamw.kind", "adamw"));
        run["model"]!["attention"]!["window"] = new JsonObject { ["kind"] = "sliding", ["size"] = 8 };
        Assert.Equal(["size"], PartKind.Change(run, "model.attention.window.kind", "full"));
    }

    [Fact]
    public void An_unknown_kind_is_left_to_the_check_of_the_configuration()
    {
        var run = Run();
        Assert.Empty(PartKind.Change(run, "model.attention.kind", "sofmax"));
        Assert.Contains("softmax", Assert.Throws<InputException>(() => ConfigJson.FromJson<RunConfig>(run, "test")).Message);
    }

    [Fact]
    public void A_part_that_is_not_there_is_refused() => Assert.Contains(
        "no such part", Assert.Throws<InputException>(() => PartKind.Change(Run(), "model.atention.kind", "linear")).Message);

    private static JsonObject Run() => ConfigJson.ToJson(ConfigFile.Load("shakespeare-char", [])).AsObject();
}
