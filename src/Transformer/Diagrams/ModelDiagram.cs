using System.Globalization;
using System.Xml.Linq;
using Transformer.Configuration;

namespace Transformer.Diagrams;

// B batch · T tokens · C width · L blocks · V vocabulary

/// <summary>
/// A model as a picture: the whole from token ids to logits, and each block that differs from the others. It is drawn from
/// <see cref="ModelConfig.Blocks"/> and the records' keys, so that a new kind is in it as soon as it has a record.
/// </summary>
public static class ModelDiagram
{
    private const int Margin = 24, Top = 84, WidestRow = 1500;

    /// <summary>Draws a model and writes it as SVG, the same bytes on every system.</summary>
    /// <param name="path">The picture's file.</param>
    /// <param name="model">The model.</param>
    /// <param name="name">What it is called.</param>
    /// <param name="vocabularySize">V; null where it is unknown, and with it the parameters that depend on it.</param>
    /// <exception cref="InputException">The file cannot be written.</exception>
    public static void Write(string path, ModelConfig model, string name, int? vocabularySize = null) =>
        SvgPage.Save(Draw(model, name, vocabularySize), path);

    /// <summary>Draws a model.</summary>
    /// <param name="model">The model.</param>
    /// <param name="name">What it is called.</param>
    /// <param name="vocabularySize">V; null where it is unknown, and with it the parameters that depend on it.</param>
    /// <returns>An SVG document that is light or dark as the reader's page is.</returns>
    public static XDocument Draw(ModelConfig model, string name, int? vocabularySize = null)
    {
        vocabularySize ??= model.VocabularySize;
        var (page, cards, order) = (new SvgPage(), new PartCards(model, vocabularySize), new BlockOrder(model));
        var labels = new ShapeLabels(model, cards);
        var facts = Facts(model, cards, vocabularySize);
        page.Text("title", Margin, 38, name, 20);
        page.Text("muted", Margin, 62, facts, Card.Size);

        Panel[] panels = [
            new ModelPanel(model, cards, new StackDrawing(cards, order, labels, model.Nodes())),
            .. order.Different.Select((block, at) => new BlockPanel(
                model, cards, block, order.NameOf(at), order.DepthsOf(at), labels.LengthOf(order.AlikeTo(at))))];
        var (x, y, rowHeight, width) = (Margin, Top, 0, Margin + Math.Max(
            TextWidth.Of(facts, Card.Size), TextWidth.Of(name, 20, isBold: true)));
        foreach (var panel in panels)
        {
            if (x > Margin && x + panel.Width > WidestRow) (x, y, rowHeight) = (Margin, y + rowHeight + Margin, 0);
            rowHeight = Math.Max(rowHeight, panel.DrawAt(page, x, y));
            x += panel.Width + Margin;
            width = Math.Max(width, x - Margin);
        }
        return page.Finish(
            width + Margin, y + rowHeight + Margin, $"{name}: the model and its blocks. {facts}",
            model.Hourglasses().Any() ? SvgStyle.Sheet + SvgStyle.Groups : SvgStyle.Sheet);
    }

    private static string Facts(ModelConfig model, PartCards cards, int? vocabularySize) => string.Join("  \u00b7  ", new[]
    {
        cards.Parameters is { } count ? $"{count.ToString("N0", CultureInfo.InvariantCulture)} parameters" : null,
        $"L = {model.Layers.Blocks} blocks{(model.Hourglasses().Any() ? $": {model.Layers}" : "")}",
        $"C = {model.Width} width",
        $"T \u2264 {model.ContextLength} tokens",
        vocabularySize is { } v ? $"V = {v} vocabulary" : null,
        "B batch",
    }.OfType<string>());
}
