using System.Xml.Linq;
using Transformer.Configuration;
using Transformer.Diagrams;

namespace Transformer.Tests.Diagrams;

public sealed class GroupsDiagramTests : IDisposable
{
    private static readonly ModelConfig Learned = Tiny.Grouped["learned boundaries"];

    private readonly TemporaryFolder here = new();

    public static TheoryData<string> Names => [.. Tiny.Grouped.Keys];

    public void Dispose() => here.Dispose();

    [Theory, MemberData(nameof(Names))]
    public void Every_model_with_hourglasses_is_drawn_and_nothing_lies_on_anything_else(string name)
    {
        var model = Tiny.Grouped[name];
        string[] tokens = [.. "Romeo:\nsoft, what light through yonder window breaks? It is the east, and Juliet is the sun."
            .Select(letter => $"{letter}")];
        var groups = model.Nodes().OfType<HourglassSpec>().Select(hourglass => new GroupedText(
            hourglass.Path, [.. tokens.Select(token => token == " ")],
            hourglass.Config.Boundaries is PredictedBoundariesConfig ? [.. tokens.Select((_, t) => t / 100.0)] : null)).ToList();
        var picture = new DrawnPicture(GroupsDiagram.Draw(model, "a model", tokens, groups));
        picture.AssertReadable();
        Assert.All(picture.Tokens, token => Assert.Contains(picture.Panels, panel => panel.Contains(token.Area)));
        Assert.Equal(groups.Count * tokens.Length, picture.Tokens.Count);
        Assert.Equal(groups.Count + 1, picture.Panels.Count());
        Assert.Equal(2 * model.Hourglasses().Count(), picture.Cards.Count(card => card.Family == "hourglass"));
    }

    [Fact]
    public void Groups_alternate_and_the_tokens_behind_the_last_end_are_in_none()
    {
        var picture = Draw(["a", " ", "b", "\n", "c"], [false, true, false, true, false], [0.1, 0.9, 0.25, 0.75, 0]);
        Assert.Equal(["even", "even", "odd", "odd", "open"], picture.Tokens.Select(token => token.Colour));
        var texts = picture.Tokens.Select(token => string.Join(' ', token.Texts));
        Assert.Equal(["a 0.10", "\u00b7 0.90", "b 0.25", "\u21b5 0.75", "c 0.00"], texts);
    }

    [Fact]
    public void The_stack_says_how_many_tokens_and_groups_its_parts_read()
    {
        var picture = Draw(["a", " ", "b", "\n", "c"], [false, true, false, true, false]);
        var texts = picture.Texts.Select(text => text.Text).ToList();
        Assert.Contains("boundaries learned: 5 tokens \u2192 2 groups", texts);
        Assert.Equal(3, texts.Count(text => text == "2 groups"));    // into the norm, the block and the upsampling
        Assert.Equal(5, texts.Count(text => text == "5 tokens"));    // around both blocks, and to the plus
    }

    // Seven tokens make three groups of three, and two groups of two of those.
    [Fact]
    public void Groups_of_groups_are_counted_where_they_have_equal_length()
    {
        var model = Tiny.Config with
        {
            Layers = [1, new HourglassConfig { Shorten = 3, Layers = [1, new HourglassConfig { Shorten = 2, Layers = 1 }] }],
        };
        bool[] ends = [true, false, false, true, false, false, true];
        string[] tokens = [.. "abcdefg".Select(letter => $"{letter}")];
        var picture = new DrawnPicture(GroupsDiagram.Draw(model, "a model", tokens, [new("model.layers.1", ends, null)]));
        var all = string.Join('\n', picture.Texts.Select(text => text.Text));
        Assert.Contains("shorten 3: 7 tokens \u2192 3 groups", all);
        Assert.Contains("3 groups \u2192 2 groups", all);
    }

    [Fact]
    public void A_long_text_goes_on_below()
    {
        var picture = Draw([.. Enumerable.Repeat("word", 100)], [.. Enumerable.Repeat(true, 100)]);
        Assert.InRange(picture.Tokens.Max(token => token.Area.Right), 900, 1100);
        Assert.InRange(picture.Tokens.Select(token => token.Area.Top).Distinct().Count(), 2, 10);
        picture.AssertReadable();
    }

    [Theory]
    [InlineData("\t", "\u2192")]
    [InlineData("\u00a0a", "\u00b7a")]
    [InlineData("\0", "\u2400")]
    [InlineData("\u0085\u009f", "\u00b7\ufffd")]
    [InlineData("\ufffe\uffff", "\ufffd\ufffd")]
    [InlineData("\U0001f600<&", "\U0001f600<&")]
    public void A_token_that_cannot_be_seen_or_written_has_a_sign(string token, string shown)
    {
        GroupsDiagram.Write(here["drawn.svg"], Learned, "a model", [token], [new("model.layers.1", [true], null)]);
        Assert.Equal(shown, new DrawnPicture(XDocument.Load(here["drawn.svg"])).Tokens.Single().Texts.Single());
    }

    [Fact]
    public void A_token_of_many_letters_ends_early() =>
        Assert.EndsWith("a\u2026", Draw([new string('a', 1000)], [true]).Tokens.Single().Texts.Single());

    private static DrawnPicture Draw(string[] tokens, bool[] ends, double[]? probabilities = null) =>
        new(GroupsDiagram.Draw(Learned, "a model", tokens, [new("model.layers.1", ends, probabilities)]));
}
