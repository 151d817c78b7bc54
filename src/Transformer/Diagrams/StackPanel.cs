namespace Transformer.Diagrams;

/// <summary>The stack of a model by itself, as one text passes it.</summary>
/// <param name="stack">The stack.</param>
/// <param name="labels">What passes.</param>
internal sealed class StackPanel(StackDrawing stack, StackLabels labels) : Panel("stack", "what reads tokens, and what reads groups")
{
    private protected override int ContentWidth => Math.Max(Column.LeastWidth, stack.Width);

    private protected override int Draw(SvgPage page, int x, int y)
    {
        var way = new Column(page, x, ContentWidth, y);
        stack.Draw(page, way);
        way.Arrow(labels.Vectors(within: null));
        return way.Y;
    }
}
