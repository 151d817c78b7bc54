using System.Globalization;
using System.Text;
using Transformer.Configuration;

namespace Transformer.Diagrams;

/// <summary>
/// A text in the groups of one hourglass: a cell for each token, groups in alternating colours, a thick edge where one ends, and below
/// each cell the probability of a boundary where one is predicted.
/// </summary>
/// <param name="tokens">The text of each token.</param>
/// <param name="text">Its groups.</param>
/// <param name="hourglass">The hourglass.</param>
/// <param name="labels">How many tokens and groups there are.</param>
internal sealed class TextPanel(IReadOnlyList<string> tokens, GroupedText text, HourglassSpec hourglass, StackLabels labels)
    : Panel(labels.NameOf(hourglass), $"{Told(hourglass.Config)}: {labels.Groups(hourglass, within: null)}")
{
    private const int WidestLine = 960, CellHeight = 30, BarHeight = 24, BarGap = 4, NumberHeight = 14, LineGap = 14, NumberSize = 9;
    private const int LongestToken = 32, CellPadding = 6, LegendWidth = 32, LegendText = 44;

    private readonly (int X, int Line, int Width)[] cells = Place(tokens, text.Probabilities is not null);

    private protected override int ContentWidth =>
        Math.Max(cells.Max(cell => cell.X + cell.Width), Legend.Max(entry => TextWidth.Of(entry.Text, Card.SmallSize) + LegendText));

    private int LineHeight => CellHeight + (text.Probabilities is null ? 0 : BarGap + BarHeight + NumberHeight) + LineGap;

    private IEnumerable<(string Style, string Text)> Legend =>
    [
        ("even odd", "groups; a thick edge behind the token that ends one, the first to receive what is made of it"),
        .. text.Ends[^1] ? [] : new[] { ("open", "the tokens of a group that is not complete yet") },
        .. text.Probabilities is null ? [] : new[] { ("likely", "the probability of a boundary: there is one where it is above 1/2") },
    ];

    private static string Told(HourglassConfig config) =>
        config.Boundaries is { } boundaries ? $"boundaries {Kind.NameOf(boundaries)}" : $"shorten {config.Shorten}";

    private protected override int Draw(SvgPage page, int x, int y)
    {
        var (group, last) = (0, text.Ends.ToList().LastIndexOf(true));
        foreach (var (t, cell) in cells.Index())
        {
            var (left, top) = (x + cell.X, y + cell.Line * LineHeight);
            page.Group("token", () =>
            {
                page.Rectangle(t > last ? "open" : group % 2 == 0 ? "even" : "odd", left, top, cell.Width, CellHeight);
                page.Text("ink", left + cell.Width / 2, top + 20, Shown(tokens[t]), Card.Size, "middle");
                if (text.Probabilities is { } p) DrawProbability(page, p[t], left, top + CellHeight + BarGap, cell.Width);
            });
            if (text.Ends[t]) group++;
        }
        foreach (var (cell, _) in cells.Zip(text.Ends).Where(cell => cell.Second))
        {
            var (right, top) = (x + cell.X + cell.Width, y + cell.Line * LineHeight);
            page.Line("end", right, top - 2, right, top + CellHeight + 2);
        }
        return DrawLegend(page, x, y + (cells[^1].Line + 1) * LineHeight + 6);
    }

    private static void DrawProbability(SvgPage page, double p, int left, int top, int width)
    {
        var height = (int)Math.Round(p * BarHeight);
        page.Rectangle("scale", left + 2, top, width - 4, BarHeight);
        if (height > 0) page.Rectangle("likely", left + 2, top + BarHeight - height, width - 4, height);
        page.Text("muted", left + width / 2, top + BarHeight + 11, Number(p), NumberSize, "middle");
    }

    private int DrawLegend(SvgPage page, int x, int y)
    {
        foreach (var (style, meaning) in Legend)
        {
            string[] colours = style.Split(' ');
            var width = LegendWidth / colours.Length;
            foreach (var (i, colour) in colours.Index()) page.Rectangle(colour, x + i * width, y, width, 14);
            if (colours.Length > 1) page.Line("end", x + width, y - 1, x + width, y + 15);
            page.Text("muted", x + LegendText, y + 11, meaning, Card.SmallSize);
            y += 22;
        }
        return y - 8;
    }

    // From left to right; what does not fit goes on below.
    private static (int X, int Line, int Width)[] Place(IReadOnlyList<string> tokens, bool hasNumbers)
    {
        var least = hasNumbers ? TextWidth.Of(Number(0), NumberSize) + CellPadding : 0;
        var (cells, x, line) = (new (int, int, int)[tokens.Count], 0, 0);
        for (var t = 0; t < cells.Length; t++)
        {
            var width = Math.Max(least, TextWidth.Of(Shown(tokens[t]), Card.Size) + 2 * CellPadding);
            if (x > 0 && x + width > WidestLine) (x, line) = (0, line + 1);
            cells[t] = (x, line, width);
            x += width;
        }
        return cells;
    }

    private static string Number(double p) => p.ToString("0.00", CultureInfo.InvariantCulture);

    /// <summary>A token as a cell shows it: what has no ink of its own has a sign, and what is long ends early.</summary>
    internal static string Shown(string token)
    {
        var shown = new StringBuilder();
        foreach (var rune in token.EnumerateRunes().Take(LongestToken)) shown.Append(Sign(rune));
        if (token.EnumerateRunes().Count() > LongestToken) shown.Append('\u2026');
        return shown.ToString();
    }

    private static string Sign(Rune rune) => rune.Value switch
    {
        '\n' => "\u21b5",
        '\t' => "\u2192",
        < ' ' => $"{(char)('\u2400' + rune.Value)}",    // the picture of a control character
        0x7f => "\u2421",
        0xfffe or 0xffff => "\ufffd",                   // not of XML
        _ when Rune.IsWhiteSpace(rune) => "\u00b7",
        _ when Rune.IsControl(rune) => "\ufffd",
        _ => rune.ToString(),
    };
}
