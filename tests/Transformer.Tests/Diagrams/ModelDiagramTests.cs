using System.Xml.Linq;
using Transformer.Configuration;
using Transformer.Diagrams;
using Transformer.Runs;
using Transformer.Tests.Cli;
using Transformer.Tests.Configuration;

namespace Transformer.Tests.Diagrams;

public sealed class ModelDiagramTests : IDisposable
{
    private static readonly Dictionary<string, ModelConfig> Models = new(
    [
        .. Tiny.Models,
        .. Tiny.Mlps.Select(mlp => KeyValuePair.Create($"mlp {mlp.Key}", Tiny.Config with { Mlp = mlp.Value })),
        .. Tiny.Norms.Select(norm => KeyValuePair.Create($"norm {norm.Key}", Tiny.Config with { Norm = norm.Value })),
        .. UnknownKinds.Models.Select(unknown => KeyValuePair.Create($"unknown {unknown.Key}", unknown.Value)),
        KeyValuePair.Create("unknown bias of scores", UnknownKinds.ScoreBias),
        KeyValuePair.Create("no MLP", Tiny.Config with { Mlp = new NoMlpConfig() }),
        KeyValuePair.Create("no blocks", Tiny.Config with { Layers = 0 }),
        KeyValuePair.Create("own head", Tiny.Config with { TiedHead = false }),
        KeyValuePair.Create("open vocabulary", Tiny.Config with { VocabularySize = null }),
        .. ConfigLibrary.Recipes.Select(name => KeyValuePair.Create($"recipe {name}", ConfigFile.Load(name, []).Model)),
        .. ConfigLibrary.Presets.Select(name => KeyValuePair.Create($"preset {name}", ConfigFile.Preset(name))),
    ]);

    private readonly TemporaryFolder here = new();

    public static TheoryData<string> Names => [.. Models.Keys];

    public void Dispose() => here.Dispose();

    [Theory, MemberData(nameof(Names))]
    public void Every_model_is_drawn_with_the_name_of_every_mixer(string name)
    {
        var texts = Draw(Models[name]).Texts.Select(text => text.Text).ToList();
        foreach (var block in Models[name].Blocks()) Assert.Contains(Kind.NameOf(block.Mixer), texts);
    }

    [Theory, MemberData(nameof(Names))]
    public void Blocks_that_differ_have_one_box_for_each_sub_layer_and_norm(string name)
    {
        var model = Models[name];
        var blocks = model.Blocks().DistinctBy(block => (block.Mixer, block.Mlp, block.MixesValues)).ToList();
        var cards = Draw(model).Cards;
        Assert.Equal(blocks.Count, cards.Count(card => card.Family == "mixer"));
        Assert.Equal(blocks.Sum(block => block.Sublayers.Count) - blocks.Count, cards.Count(card => card.Family == "mlp"));
        var norms = blocks.Sum(block => block.Sublayers.Sum(sublayer => sublayer.Norms.Count()));
        Assert.Equal(norms + (model.Residual.LastNorm ? 1 : 0), cards.Count(card => card.Family == "norm"));
    }

    [Theory, MemberData(nameof(Names))]
    public void Nothing_lies_on_anything_else_and_every_text_is_within_its_box(string name)
    {
        var picture = Draw(Models[name]);
        AssertApart(picture.Cards.Select(card => card.Area));
        AssertApart(picture.Panels);
        AssertApart(picture.Texts.Select(text => text.Area));
        Assert.All(picture.Cards, card => Assert.All(card.Texts, text => Assert.True(card.Area.Contains(text.Area), text.Text)));
        Assert.All(picture.Cards, card => Assert.Contains(picture.Panels, panel => panel.Contains(card.Area)));
        Assert.All(picture.Texts, text => Assert.True(picture.Page.Contains(text.Area), text.Text));
        var free = picture.Texts.Except(picture.Cards.SelectMany(card => card.Texts));
        Assert.All(free, text => Assert.DoesNotContain(picture.Cards, card => card.Area.Overlaps(text.Area)));
    }

    [Fact]
    public void Blocks_that_are_alike_are_drawn_once_and_a_pattern_tells_their_order()
    {
        var hybrid = ConfigFile.Load("shakespeare-char-hybrid", ["model.layers=10"]).Model;
        var texts = Draw(hybrid).Texts.Select(text => text.Text).ToList();
        Assert.Contains("rule gated_delta", string.Join(' ', texts));
        foreach (var text in (string[])["\u00d7 2", "\u00d7 3", "block local", "block global", "numbers 0-2, 4-6, 8-9", "numbers 3, 7"])
            Assert.Contains(text, texts);
    }

    [Fact]
    public void The_same_model_gives_the_same_bytes_and_they_are_xml_for_light_and_dark_pages()
    {
        foreach (var name in (string[])["one.svg", "two.svg"]) ModelDiagram.Write(here[name], Models["hybrid"], "hybrid");
        var bytes = File.ReadAllBytes(here["one.svg"]);
        Assert.Equal(bytes, File.ReadAllBytes(here["two.svg"]));
        Assert.Equal("svg", XDocument.Parse(System.Text.Encoding.UTF8.GetString(bytes)).Root!.Name.LocalName);
        Assert.Contains("prefers-color-scheme: dark", File.ReadAllText(here["one.svg"]));
    }

    [Theory]
    [InlineData("--diagram")]
    [InlineData("--mask")]
    public async Task A_picture_that_cannot_be_written_is_refused_before_anything_is_printed(string option) =>
        await CliRun.Refuses($"config show names {option} {here["nowhere/picture.svg"]}", "picture.svg: cannot be written");

    private static DrawnPicture Draw(ModelConfig model) => new(ModelDiagram.Draw(model, "a model"));

    private static void AssertApart(IEnumerable<DrawnPicture.Area> areas)
    {
        var all = areas.ToArray();
        for (var i = 0; i < all.Length; i++)
            for (var j = 0; j < i; j++) Assert.False(all[i].Overlaps(all[j]), $"{all[i]} lies on {all[j]}");
    }
}
