namespace Transformer.Diagrams;

/// <summary>Cards below each other, with arrows between them: the way of a token, from top to bottom.</summary>
/// <param name="page">The picture.</param>
/// <param name="left">The left edge of the cards.</param>
/// <param name="width">The width of all of them.</param>
/// <param name="top">Where the column begins.</param>
internal sealed class Column(SvgPage page, int left, int width, int top)
{
    /// <summary>How far to the left of the cards the stream passes a sub-layer by.</summary>
    public const int Bypass = 24;

    /// <summary>The length of an arrow.</summary>
    public const int ArrowLength = 30;

    /// <summary>Cards are no narrower.</summary>
    public const int LeastWidth = 230;

    private const int Radius = 10;

    private int left = left, width = width;

    /// <summary>The height reached.</summary>
    public int Y { get; private set; } = top;

    /// <summary>The left edge of the cards.</summary>
    public int Left => left;

    /// <summary>The right edge of the cards.</summary>
    public int Right => left + width;

    /// <summary>The left edge of the circle where two vectors are added.</summary>
    public int LeftOfPlus => Middle - Radius;

    private int Middle => left + width / 2;

    /// <summary>Makes the cards that follow narrower on both sides, or wider by a negative number.</summary>
    public void Narrow(int by) => (left, width) = (left + by, width - 2 * by);

    /// <summary>An arrow to what comes next, with the shape of what it carries.</summary>
    public void Arrow(string shape)
    {
        page.Arrow(Middle, Y, Middle, Y + ArrowLength);
        Label(shape);
    }

    /// <summary>The stream to where a sub-layer branches off, with its shape.</summary>
    public void Line(string shape, int length = ArrowLength)
    {
        page.Line("line", Middle, Y, Middle, Y + length);
        Label(shape, length);
    }

    /// <summary>A card.</summary>
    /// <returns>The height of its middle.</returns>
    public int Add(Card card)
    {
        page.Card(card, left, Y, width);
        Y += card.Height;
        return Y - card.Height / 2;
    }

    /// <summary>The circle where two vectors are added.</summary>
    /// <returns>The height of its middle.</returns>
    public int Plus()
    {
        var y = Y + Radius;
        page.Group("plus", () =>
        {
            page.Circle("add", Middle, y, Radius);
            page.Line("line", Middle - 5, y, Middle + 5, y);
            page.Line("line", Middle, y - 5, Middle, y + 5);
        });
        Y += 2 * Radius;
        return y;
    }

    /// <summary>The stream that passes a sub-layer by, to the circle where its output is added.</summary>
    /// <param name="from">The height where it branches off.</param>
    /// <param name="to">The height of the circle's middle.</param>
    public void PassBy(int from, int to) => PassBy(from, to, LeftOfPlus);

    /// <summary>The stream that passes cards by, to the left edge of the last of them.</summary>
    /// <param name="from">The height where it branches off.</param>
    /// <param name="to">The height of that card's middle.</param>
    public void PassInto(int from, int to) => PassBy(from, to, left);

    private void PassBy(int from, int to, int end)
    {
        page.Circle("head", Middle, from, 3);
        page.Arrow(Middle, from, left - Bypass, from, left - Bypass, to, end, to);
    }

    private void Label(string shape, int length = ArrowLength)
    {
        page.Text("muted", Middle + 10, Y + length / 2 + 3, shape, Card.SmallSize);
        Y += length;
    }
}
