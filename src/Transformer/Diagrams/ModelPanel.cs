using Transformer.Configuration;

namespace Transformer.Diagrams;

// B batch · T tokens · V vocabulary

/// <summary>The whole model: embedding, positions, the blocks in their order, last norm and head.</summary>
internal sealed class ModelPanel(ModelConfig model, PartCards cards, BlockOrder order) : Panel("model", "")
{
    private const int Gap = 36, Lane = 20, Inset = 10;

    private readonly Card? position = cards.Position;
    private readonly Card[] column = [
        cards.Embedding, cards.Head, .. model.Residual.LastNorm ? [cards.Norm("last norm")] : (Card[])[],
        .. order.Unit.Concat(order.Rest).Select(run => cards.Block(order.Different[run.Block], order.NameOf(run.Block), run.Count))];

    private protected override int ContentWidth => ColumnAt + CardWidth + Lane;

    private int CardWidth => Math.Max(Column.LeastWidth, column.Max(card => card.Width));

    // Positions stand beside the column, with arrows to what uses them.
    private int ColumnAt => position is null ? Inset : position.Width + Gap;

    private protected override int Draw(SvgPage page, int x, int y)
    {
        var way = new Column(page, x + ColumnAt, CardWidth, y);
        way.Arrow("token ids [B, T]");
        var embedding = way.Add(cards.Embedding);
        var uses = new List<(int X, int Y)>();
        if (model.Position.IsAddedToEmbedding)
        {
            way.Arrow(PartCards.Vectors);
            uses.Add((way.LeftOfPlus, way.Plus()));
        }
        DrawBlocks(page, way, uses);
        if (model.Residual.LastNorm)
        {
            way.Arrow(PartCards.Vectors);
            way.Add(cards.Norm("last norm"));
        }
        way.Arrow(PartCards.Vectors);
        var head = way.Add(cards.Head);
        way.Arrow("logits [B, T, V]");
        if (model.TiedHead) page.Line("dashed", way.Right, embedding, way.Right + Lane, embedding, way.Right + Lane, head, way.Right, head);
        if (position is not null) DrawPosition(page, position, x, y + Column.ArrowLength, uses);
        return way.Y;
    }

    private void DrawBlocks(SvgPage page, Column way, List<(int X, int Y)> uses)
    {
        var isFramed = order.Repetitions > 1 && order.Unit.Count > 1;
        if (isFramed)
        {
            way.Line(cards.Stream);
            var top = way.Y;
            page.Text("name", way.Left, top + 20, $"\u00d7 {order.Repetitions}", Card.Size);
            DrawRuns(order.Unit, 1);
            way.Line(cards.Stream);
            page.RectangleBehind("dashed", way.Left - Inset, top, CardWidth + 2 * Inset, way.Y - top, radius: 8);
        }
        else
        {
            DrawRuns(order.Unit, order.Repetitions);
        }
        DrawRuns(order.Rest, 1);

        void DrawRuns(IReadOnlyList<(int Block, int Count)> runs, int times)
        {
            foreach (var (number, count) in runs)
            {
                var block = order.Different[number];
                way.Arrow(cards.Stream);
                var middle = way.Add(cards.Block(block, order.NameOf(number), count * times));
                if (cards.TakesPosition(block)) uses.Add((way.Left, middle));
            }
        }
    }

    private static void DrawPosition(SvgPage page, Card position, int x, int y, List<(int X, int Y)> uses)
    {
        page.Card(position, x, y, position.Width);
        var (trunk, bottom) = (x + position.Width / 2, y + position.Height);
        foreach (var use in uses) page.Arrow(trunk, bottom, trunk, use.Y, use.X, use.Y);
    }
}
