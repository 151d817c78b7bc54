using System.Globalization;
using System.Text;
using System.Xml;
using System.Xml.Linq;
using Transformer.Files;

namespace Transformer.Diagrams;

/// <summary>A picture that is being drawn: shapes and texts in pixels, from the upper left corner.</summary>
internal sealed class SvgPage
{
    private static readonly XNamespace Svg = "http://www.w3.org/2000/svg";

    private readonly XElement root = new(Svg + "svg");
    private XElement at;

    public SvgPage() => at = root;

    /// <summary>What is drawn within belongs together, and the style and a reader find it by its class.</summary>
    public void Group(string names, Action draw)
    {
        var (outer, group) = (at, new XElement(Svg + "g", new XAttribute("class", names)));
        outer.Add(group);
        at = group;
        draw();
        at = outer;
    }

    public void Rectangle(string names, int x, int y, int width, int height, int radius = 0) =>
        Add("rect", names, Of("x", x), Of("y", y), Of("width", width), Of("height", height), Of("rx", radius));

    /// <summary>A rectangle below what the group has so far: a frame is known when its content is.</summary>
    public void RectangleBehind(string names, int x, int y, int width, int height, int radius)
    {
        Rectangle(names, x, y, width, height, radius);
        var frame = at.LastNode!;
        frame.Remove();
        at.AddFirst(frame);
    }

    /// <summary>A picture of pixels, each of which stays a square.</summary>
    public void Image(byte[] png, int x, int y, int side) => Add(
        "image", "pixels", Of("x", x), Of("y", y), Of("width", side), Of("height", side),
        Of("href", $"data:image/png;base64,{Convert.ToBase64String(png)}"));

    /// <summary>A square that is more or less opaque, 0 to 1.</summary>
    public void Square(string names, int x, int y, int side, double opacity) => Add(
        "rect", names, Of("x", x), Of("y", y), Of("width", side), Of("height", side),
        Of("fill-opacity", opacity.ToString("0.##", CultureInfo.InvariantCulture)));

    public void Circle(string names, int x, int y, int radius) => Add("circle", names, Of("cx", x), Of("cy", y), Of("r", radius));

    /// <param name="names">The class: its size, weight and colour.</param>
    /// <param name="x">Where it begins; or its middle or end, by the anchor.</param>
    /// <param name="y">The line that the letters stand on.</param>
    /// <param name="text">The text.</param>
    /// <param name="size">The font's size in pixels.</param>
    /// <param name="anchor">start, middle or end.</param>
    public void Text(string names, int x, int y, string text, int size, string anchor = "start")
    {
        if (text.Length == 0) return;
        Add("text", names, Of("x", x), Of("y", y), Of("font-size", size), Of("text-anchor", anchor));
        ((XElement)at.LastNode!).Value = text;
    }

    /// <summary>A line through points: x, y, x, y, ...</summary>
    public void Line(string names, params int[] points) =>
        Add("polyline", names, Of("points", string.Join(' ', points.Chunk(2).Select(point => $"{point[0]},{point[1]}"))));

    /// <summary>A line with a head at its end, which goes down or to the right.</summary>
    public void Arrow(params int[] points)
    {
        const int length = 7, half = 4;
        var (x, y) = (points[^2], points[^1]);
        var goesDown = points[^4] == x;
        Line("line", [.. points[..^2], .. goesDown ? new[] { x, y - length } : [x - length, y]]);
        Add("polygon", "head", Of("points", goesDown
            ? $"{x - half},{y - length} {x + half},{y - length} {x},{y}"
            : $"{x - length},{y - half} {x - length},{y + half} {x},{y}"));
    }

    /// <summary>A card.</summary>
    public void Card(Card card, int x, int y, int width) => Group($"card {card.Family}", () =>
    {
        Rectangle("box", x, y, width, card.Height, radius: 6);
        var line = y + 22;
        if (card.Role.Length > 0) Text("muted", x + Diagrams.Card.Padding, line, card.Role, Diagrams.Card.Size);
        Text("name", x + card.NameAt, line, card.Name, Diagrams.Card.Size);
        if (card.Note.Length > 0) Text("muted", x + width - Diagrams.Card.Padding, line, card.Note, Diagrams.Card.SmallSize, "end");
        foreach (var setting in card.Lines)
            Text("ink", x + Diagrams.Card.Padding, line += Diagrams.Card.LineHeight, setting, Diagrams.Card.SmallSize);
    });

    /// <summary>The finished picture.</summary>
    /// <param name="width">Its width.</param>
    /// <param name="height">Its height.</param>
    /// <param name="title">What it shows, for readers who hear it.</param>
    /// <param name="style">The colours.</param>
    public XDocument Finish(int width, int height, string title, string style = SvgStyle.Sheet)
    {
        root.Add(Of("viewBox", $"0 0 {width} {height}"), Of("width", width), Of("height", height), Of("role", "img"));
        root.AddFirst(
            new XElement(Svg + "title", title), new XElement(Svg + "style", style),
            new XElement(Svg + "rect", Of("class", "page"), Of("width", width), Of("height", height)));
        return new XDocument(root);
    }

    /// <summary>Writes a picture, the same bytes on every system.</summary>
    /// <exception cref="Configuration.InputException">The file cannot be written.</exception>
    public static void Save(XDocument picture, string path) => DurableFile.Write(path, stream =>
    {
        var settings = new XmlWriterSettings
        {
            Indent = true,
            NewLineChars = "\n",
            NewLineHandling = NewLineHandling.None,
            Encoding = new UTF8Encoding(encoderShouldEmitUTF8Identifier: false),
            OmitXmlDeclaration = true,
        };
        using (var writer = XmlWriter.Create(stream, settings)) picture.Save(writer);
        stream.WriteByte((byte)'\n');
    });

    private void Add(string element, string names, params XAttribute[] attributes) =>
        at.Add(new XElement(Svg + element, Of("class", names), attributes));

    private static XAttribute Of(string name, object value) => new(name, value);
}
