using System.Globalization;
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

    public static TheoryData<string> Hourglasses => [.. Tiny.Grouped.Keys];

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
        var blocks = model.Blocks().DistinctBy(block => (block.Mixer, block.Mlp, block.MixesValues, block.HasCrossAttention)).ToList();
        var seeing = blocks.Count(block => block.HasCrossAttention);
        var cards = Draw(model).Cards;
        Assert.Equal(blocks.Count, cards.Count(card => card.Family == "mixer"));
        Assert.Equal(blocks.Sum(block => block.Sublayers.Count) - blocks.Count - seeing, cards.Count(card => card.Family == "mlp"));
        Assert.Equal(seeing, cards.Count(card => card.Texts.Any(text => text.Text == "to the last picture")));
        var norms = blocks.Sum(block => block.Sublayers.Sum(sublayer => sublayer.Norms.Count()));
        norms += model.Hourglasses().Count(hourglass => hourglass.Config.Boundaries is not null);
        Assert.Equal(norms + (model.Residual.LastNorm ? 1 : 0), cards.Count(card => card.Family == "norm"));
    }

    [Theory, MemberData(nameof(Names))]
    public void Nothing_lies_on_anything_else_and_every_text_is_within_its_box(string name)
    {
        var picture = Draw(Models[name]);
        picture.AssertReadable();
        Assert.All(picture.Cards, card => Assert.Contains(picture.Panels, panel => panel.Contains(card.Area)));
        Assert.All(picture.Frames, frame => Assert.Contains(picture.Panels, panel => panel.Contains(frame)));
    }

    [Theory, MemberData(nameof(Hourglasses))]
    public void Every_hourglass_is_a_frame_around_what_leads_in_its_layers_and_what_leads_out(string name)
    {
        var model = Models[name];
        var picture = Draw(model);
        var hourglasses = model.Hourglasses().ToList();
        Assert.Equal(hourglasses.Count, picture.Frames.Count());
        var cards = picture.Cards.Where(card => card.Family == "hourglass").ToList();
        Assert.Equal(2 * hourglasses.Count, cards.Count);
        foreach (var hourglass in hourglasses)
        {
            var config = hourglass.Config;
            object into = config.Boundaries is { } boundaries ? boundaries : config.Pooling;
            Assert.Contains(cards, card => Texts(card.Texts).Contains(Kind.NameOf(into))
                && (config.Shorten is null || Texts(card.Texts).Contains($"shorten {config.Shorten} ")));
            Assert.Contains(cards, card => Texts(card.Texts).Contains($"upsampling {Kind.NameOf(config.Upsampling)}"));
        }
        // Frames are in each other or apart, and each holds its two cards and all that those within it hold.
        foreach (var frame in picture.Frames)
        {
            var inside = picture.Frames.Count(other => frame.Contains(other));
            Assert.Equal(2 * inside, cards.Count(card => frame.Contains(card.Area)));
            Assert.All(picture.Frames, other =>
                Assert.True(frame.Contains(other) || other.Contains(frame) || !frame.Overlaps(other), $"{frame} crosses {other}"));
        }
        var blocks = picture.Cards.Where(card => card.Family == "block" && picture.Frames.Any(frame => frame.Contains(card.Area)));
        Assert.Equal(
            hourglasses.SelectMany(hourglass => hourglass.Layers).OfType<BlockSpec>().Count(),
            blocks.Sum(card => card.Texts.Select(text => text.Text).FirstOrDefault(text => text.StartsWith('\u00d7')) is { } count
                ? int.Parse(count[2..], CultureInfo.InvariantCulture) : 1));

        static string Texts((string Text, DrawnPicture.Area Area)[] texts) => string.Join(' ', texts.Select(text => text.Text)) + ' ';
    }

    [Fact]
    public void An_hourglass_says_how_its_tokens_become_groups()
    {
        var inner = new HourglassConfig { Boundaries = new LearnedBoundariesConfig(), Layers = 1 };
        var texts = Draw(Tiny.Config with { Layers = [1, new HourglassConfig { Shorten = 3, Layers = [1, inner] }] })
            .Texts.Select(text => text.Text).ToList();
        foreach (var text in (string[])["hourglass 1", "hourglass 2", "[B, S\u2081, C]", "[B, S\u2082, C]"]) Assert.Contains(text, texts);
        var all = string.Join(" \u00b7 ", texts);
        Assert.Contains("L = 3 blocks: [1, {shorten: 3, layers: [1, {boundaries: learned, layers: 1}]}]", all);
        Assert.Contains("shorten 3 \u00b7 S\u2081 = \u2308T / 3\u2309 groups", all);
        Assert.Contains("S\u2082 \u2248 0.2 S\u2081 groups", all);
    }

    [Fact]
    public void Where_all_blocks_of_a_kind_read_groups_their_panel_says_so()
    {
        var texts = Draw(Models["white space over windows and gated_delta"] with { Pattern = ["linear", "window", "window", "linear"] })
            .Texts.Select(text => text.Text).ToList();
        Assert.Contains("[B, S, C]", texts);
        Assert.Contains("[B, T, C]", texts);
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
}
