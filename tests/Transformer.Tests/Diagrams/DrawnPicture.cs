using System.Globalization;
using System.Xml.Linq;
using Transformer.Diagrams;

namespace Transformer.Tests.Diagrams;

/// <summary>What a picture shows: its texts and cards with the areas that they take.</summary>
internal sealed class DrawnPicture(XDocument picture)
{
    public Area Page { get; } = new(0, 0, Number(picture.Root!, "width"), Number(picture.Root!, "height"));

    public IReadOnlyList<(string Text, Area Area)> Texts { get; } = [.. Elements(picture, "text").Select(TextOf)];

    public IReadOnlyList<(string Family, Area Area, (string Text, Area Area)[] Texts)> Cards { get; } =
    [
        .. from card in Elements(picture, "g")
           let names = card.Attribute("class")!.Value.Split(' ')
           where names[0] == "card"
           select (names[1], AreaOf(Elements(card, "rect").Single()), Elements(card, "text").Select(TextOf).ToArray()),
    ];

    /// <summary>How opaque the squares of keys are, from the upper left on.</summary>
    public IReadOnlyList<(Area Area, double Weight)> Keys { get; } =
    [
        .. from square in Elements(picture, "rect")
           where square.Attribute("class")!.Value == "key"
           select (AreaOf(square), Number(square, "fill-opacity")),
    ];

    public IEnumerable<Area> Panels => Elements(picture, "rect").Where(rect => rect.Attribute("class")!.Value == "panel").Select(AreaOf);

    /// <summary>Dashed frames around what is repeated, and around hourglasses.</summary>
    public IEnumerable<Area> Frames => Elements(picture, "rect").Where(rect => rect.Attribute("class")!.Value == "dashed").Select(AreaOf);

    /// <summary>The cells of tokens, from the first to the last: colour, area, and the texts in and below it.</summary>
    public IReadOnlyList<(string Colour, Area Area, string[] Texts)> Tokens { get; } =
    [
        .. from token in Elements(picture, "g")
           where token.Attribute("class")!.Value == "token"
           let cell = Elements(token, "rect").First()
           select (cell.Attribute("class")!.Value, AreaOf(cell), Elements(token, "text").Select(text => text.Value).ToArray()),
    ];

    /// <summary>Asserts that nothing lies on anything else, and every text is within its box.</summary>
    public void AssertReadable()
    {
        AssertApart(Cards.Select(card => card.Area));
        AssertApart(Panels);
        AssertApart(Texts.Select(text => text.Area));
        AssertApart(Tokens.Select(token => token.Area));
        Assert.All(Cards, card => Assert.All(card.Texts, text => Assert.True(card.Area.Contains(text.Area), text.Text)));
        Assert.All(Texts, text => Assert.True(Page.Contains(text.Area), text.Text));
        var free = Texts.Except(Cards.SelectMany(card => card.Texts));
        Assert.All(free, text => Assert.DoesNotContain(Cards, card => card.Area.Overlaps(text.Area)));
    }

    private static void AssertApart(IEnumerable<Area> areas)
    {
        var all = areas.ToArray();
        for (var i = 0; i < all.Length; i++)
            for (var j = 0; j < i; j++) Assert.False(all[i].Overlaps(all[j]), $"{all[i]} lies on {all[j]}");
    }

    private static IEnumerable<XElement> Elements(XContainer within, string name) =>
        within.Descendants().Where(element => element.Name.LocalName == name);

    private static Area AreaOf(XElement rect) =>
        new(Number(rect, "x"), Number(rect, "y"), Number(rect, "x") + Number(rect, "width"), Number(rect, "y") + Number(rect, "height"));

    // Letters stand on the line y and are about as high as the font's size.
    private static (string, Area) TextOf(XElement text)
    {
        var size = (int)Number(text, "font-size");
        var isBold = text.Attribute("class")!.Value is "title" or "name";
        var (x, y, width) = (Number(text, "x"), Number(text, "y"), TextWidth.Of(text.Value, size, isBold));
        var left = text.Attribute("text-anchor")!.Value switch { "middle" => x - width / 2.0, "end" => x - width, _ => x };
        return (text.Value, new(left, y - 0.8 * size, left + width, y + 0.2 * size));
    }

    private static double Number(XElement element, string name) =>
        double.Parse(element.Attribute(name)!.Value, CultureInfo.InvariantCulture);

    internal readonly record struct Area(double Left, double Top, double Right, double Bottom)
    {
        public bool Overlaps(Area other) => Left < other.Right && other.Left < Right && Top < other.Bottom && other.Top < Bottom;

        public bool Contains(Area other) =>
            Left <= other.Left && other.Right <= Right && Top <= other.Top && other.Bottom <= Bottom;
    }
}
