namespace Transformer.Diagrams;

/// <summary>A framed part of a picture under a heading.</summary>
/// <param name="name">The heading.</param>
/// <param name="note">What stands beside it in muted letters; may be empty.</param>
internal abstract class Panel(string name, string note)
{
    /// <summary>The distance from frame to content.</summary>
    protected const int Padding = 20;

    private const int HeadingHeight = 44, HeadingSize = 15;

    /// <summary>The width of the frame.</summary>
    public int Width => Math.Max(ContentWidth, NoteAt + TextWidth.Of(note, Card.SmallSize)) + 2 * Padding;

    /// <summary>The width of the content.</summary>
    private protected abstract int ContentWidth { get; }

    private int NoteAt => TextWidth.Of($"{name}  ", HeadingSize, isBold: true);

    /// <summary>Draws the panel.</summary>
    /// <returns>The height of its frame.</returns>
    public int DrawAt(SvgPage page, int x, int y)
    {
        var height = 0;
        page.Group("section", () =>
        {
            page.Text("title", x + Padding, y + 28, name, HeadingSize);
            if (note.Length > 0) page.Text("muted", x + Padding + NoteAt, y + 28, note, Card.SmallSize);
            height = Draw(page, x + Padding, y + HeadingHeight) - y + Padding;
            page.RectangleBehind("panel", x, y, Width, height, radius: 10);
        });
        return height;
    }

    /// <summary>Draws the content.</summary>
    /// <param name="page">The picture.</param>
    /// <param name="x">The left edge of the content.</param>
    /// <param name="y">Its upper edge.</param>
    /// <returns>Its lower edge.</returns>
    private protected abstract int Draw(SvgPage page, int x, int y);
}
