using System.Xml.Linq;
using Transformer.Configuration;

namespace Transformer.Diagrams;

// T tokens · S groups

/// <summary>A text with the groups that a model's hourglasses make of it, and below it the stack that reads tokens and groups.</summary>
public static class GroupsDiagram
{
    private const int Margin = 24, Top = 84;

    /// <summary>Draws a text and writes it as SVG, the same bytes on every system.</summary>
    /// <param name="path">The picture's file.</param>
    /// <param name="model">The model.</param>
    /// <param name="name">What it is called.</param>
    /// <param name="tokens">The text of each token.</param>
    /// <param name="groups">Its groups, for each hourglass that reads tokens.</param>
    /// <exception cref="InputException">The file cannot be written.</exception>
    public static void Write(
        string path, ModelConfig model, string name, IReadOnlyList<string> tokens, IReadOnlyList<GroupedText> groups) =>
        SvgPage.Save(Draw(model, name, tokens, groups), path);

    /// <summary>Draws a text.</summary>
    /// <param name="model">The model.</param>
    /// <param name="name">What it is called.</param>
    /// <param name="tokens">The text of each token.</param>
    /// <param name="groups">Its groups, for each hourglass that reads tokens.</param>
    /// <returns>An SVG document that is light or dark as the reader's page is.</returns>
    public static XDocument Draw(
        ModelConfig model, string name, IReadOnlyList<string> tokens, IReadOnlyList<GroupedText> groups)
    {
        var (page, labels) = (new SvgPage(), new TextLabels(model, tokens.Count, groups));
        var facts = $"{labels.Vectors(within: null)}  \u00b7  L = {model.Layers.Blocks} blocks: {model.Layers}";
        page.Text("title", Margin, 38, name, 20);
        page.Text("muted", Margin, 62, facts, Card.Size);

        var hourglasses = model.Hourglasses().ToDictionary(hourglass => hourglass.Path);
        var stack = new StackDrawing(new PartCards(model, model.VocabularySize), new BlockOrder(model), labels, model.Nodes());
        Panel[] panels = [
            .. groups.Select(own => new TextPanel(tokens, own, hourglasses[own.Path], labels)), new StackPanel(stack, labels)];
        var (y, width) = (Top, Margin + Math.Max(TextWidth.Of(facts, Card.Size), TextWidth.Of(name, 20, isBold: true)));
        foreach (var panel in panels)
        {
            y += panel.DrawAt(page, Margin, y) + Margin;
            width = Math.Max(width, Margin + panel.Width);
        }
        return page.Finish(width + Margin, y, $"{name}: the groups of a text. {facts}", SvgStyle.Sheet + SvgStyle.Groups);
    }
}
