using System.Globalization;
using System.Xml.Linq;
using Transformer.Configuration;

namespace Transformer.Diagrams;

/// <summary>A picture as a model saw it when it answered: block by block, how its last token attended to the patches.</summary>
public static class PictureDiagram
{
    private const int Margin = 24, Top = 84, Side = 225, Gap = 20, Below = 40;

    /// <summary>Draws a picture and writes it as SVG, the same bytes on every system.</summary>
    /// <param name="path">The file.</param>
    /// <param name="title">What was asked and answered.</param>
    /// <param name="picture">The picture as the model reads it, a PNG file's bytes.</param>
    /// <param name="weights">
    /// For each block the weights of the patches of a square, row by row; none where it has no such attention.
    /// </param>
    /// <exception cref="InputException">The file cannot be written.</exception>
    public static void Write(string path, string title, byte[] picture, IReadOnlyList<IReadOnlyList<double>> weights) =>
        SvgPage.Save(Draw(title, picture, weights), path);

    /// <summary>Draws a picture.</summary>
    /// <inheritdoc cref="Write"/>
    public static XDocument Draw(string title, byte[] picture, IReadOnlyList<IReadOnlyList<double>> weights)
    {
        var page = new SvgPage();
        page.Text("title", Margin, 38, title, 20);
        page.Text("muted", Margin, 62, "dark: what the token before the answer does not attend to", Card.Size);
        var (shown, x) = (weights.Index().Where(block => block.Item.Count > 0).ToList(), Margin);
        page.Image(picture, x, Top, Side);
        page.Text("muted", x, Top + Side + 22, "the picture", Card.Size);
        foreach (var (block, own) in shown)
        {
            x += Side + Gap;
            var patches = (int)Math.Round(Math.Sqrt(own.Count));
            var patch = Side / patches;
            page.Image(picture, x, Top, patches * patch);
            Shade(page, own, x, patches, patch);
            page.Text("muted", x, Top + Side + 22, string.Create(
                CultureInfo.InvariantCulture, $"block {block}: up to {own.Max():p0} on a patch"), Card.Size);
        }
        return page.Finish(x + Side + Margin, Top + Side + Below, title, SvgStyle.Sheet + SvgStyle.Pictures);
    }

    // What is attended to shows; the rest lies in shade.
    private static void Shade(SvgPage page, IReadOnlyList<double> weights, int x, int patches, int side)
    {
        var most = weights.Max();
        foreach (var (number, weight) in weights.Index())
        {
            var (row, column) = Math.DivRem(number, patches);
            page.Square("shade", x + column * side, Top + row * side, side, 0.85 * (1 - weight / most));
        }
    }
}
