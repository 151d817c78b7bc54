using Transformer.Configuration;

namespace Transformer.Diagrams;

// B batch · T tokens · V vocabulary

/// <summary>The whole model: embedding, positions, the stack of blocks, last norm and head.</summary>
internal sealed class ModelPanel(ModelConfig model, PartCards cards, StackDrawing stack) : Panel("model", "")
{
    private const int Gap = 36, Lane = 20, Inset = 10;

    private readonly Card? position = cards.Position;
    private readonly Card[] column = [
        cards.Embedding, cards.Head, .. cards.Vision is { } vision ? [vision] : (Card[])[],
        .. model.Residual.LastNorm ? [cards.Norm("last norm")] : (Card[])[]];

    private protected override int ContentWidth => ColumnAt + CardWidth + Lane;

    private int CardWidth => Math.Max(Column.LeastWidth, column.Select(card => card.Width).Append(stack.Width).Max());

    // Positions stand beside the column, with arrows to what uses them.
    private int ColumnAt => position is null ? Inset : position.Width + Gap;

    private protected override int Draw(SvgPage page, int x, int y)
    {
        var vectors = PartCards.Vectors("T");
        var way = new Column(page, x + ColumnAt, CardWidth, y);
        way.Arrow("token ids [B, T]");
        var embedding = way.Add(cards.Embedding);
        if (cards.Vision is { } vision)
        {
            way.Arrow(vectors);
            way.Add(vision);
        }
        var uses = new List<(int X, int Y)>();
        if (model.Position.IsAddedToEmbedding)
        {
            way.Arrow(vectors);
            uses.Add((way.LeftOfPlus, way.Plus()));
        }
        uses.AddRange(stack.Draw(page, way));
        if (model.Residual.LastNorm)
        {
            way.Arrow(vectors);
            way.Add(cards.Norm("last norm"));
        }
        way.Arrow(vectors);
        var head = way.Add(cards.Head);
        way.Arrow("logits [B, T, V]");
        if (model.TiedHead) page.Line("dashed", way.Right, embedding, way.Right + Lane, embedding, way.Right + Lane, head, way.Right, head);
        if (position is not null) DrawPosition(page, position, x, y + Column.ArrowLength, uses);
        return way.Y;
    }

    private static void DrawPosition(SvgPage page, Card position, int x, int y, List<(int X, int Y)> uses)
    {
        page.Card(position, x, y, position.Width);
        var (trunk, bottom) = (x + position.Width / 2, y + position.Height);
        foreach (var use in uses) page.Arrow(trunk, bottom, trunk, use.Y, use.X, use.Y);
    }
}
