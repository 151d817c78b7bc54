using Transformer.Configuration;

namespace Transformer.Diagrams;

/// <summary>
/// The depth of a model as a column: runs of blocks that are alike, and hourglasses as dashed frames with what leads in, what reads the
/// groups, what leads out, and the stream that passes all of it by.
/// </summary>
internal sealed class StackDrawing
{
    private const int Inset = 10, Step = Column.Bypass + 12, Tail = 14;

    private readonly PartCards cards;
    private readonly BlockOrder order;
    private readonly StackLabels labels;
    private readonly IReadOnlyList<StackNode> nodes;

    /// <param name="cards">The model's cards.</param>
    /// <param name="order">Its blocks.</param>
    /// <param name="labels">What arrows carry.</param>
    /// <param name="nodes">The parts of the stack.</param>
    public StackDrawing(PartCards cards, BlockOrder order, StackLabels labels, IReadOnlyList<StackNode> nodes) =>
        (this.cards, this.order, this.labels, this.nodes) = (cards, order, labels, nodes);

    /// <summary>The least width that holds all cards and names; 0 where there is nothing.</summary>
    public int Width => WidthOf(nodes, within: null);

    /// <summary>Draws the stack, down to the vectors that its last part gives.</summary>
    /// <param name="page">The picture.</param>
    /// <param name="way">The column, at the stack's upper end.</param>
    /// <returns>Where the blocks that use positions take them: the left edges of their cards.</returns>
    public IReadOnlyList<(int X, int Y)> Draw(SvgPage page, Column way)
    {
        var uses = new List<(int X, int Y)>();
        Draw(page, way, nodes, within: null, uses);
        return uses;
    }

    private int WidthOf(IReadOnlyList<StackNode> parts, HourglassSpec? within) => order.PartsOf(parts).Select(part =>
        part.Hourglass is { } hourglass
            ? 2 * Step + new[]
            {
                WidthOf(hourglass.Layers, hourglass), cards.Into(hourglass, labels.Groups(hourglass, within)).Width,
                cards.Norm("norm").Width, cards.OutOf(hourglass).Width, HeadingWidth(hourglass),
            }.Max()
            : part.Blocks!.Unit.Concat(part.Blocks.Rest).Max(run => Block(run.Block, run.Count).Width)).DefaultIfEmpty().Max();

    // It stands at the left of the stream.
    private int HeadingWidth(HourglassSpec hourglass) =>
        2 * (Inset + TextWidth.Of(labels.NameOf(hourglass), Card.Size, isBold: true) + 8 - Step);

    private Card Block(int block, int count) => cards.Block(order.Different[block], order.NameOf(block), count);

    private void Draw(SvgPage page, Column way, IReadOnlyList<StackNode> parts, HourglassSpec? within, List<(int X, int Y)> uses)
    {
        foreach (var (blocks, hourglass) in order.PartsOf(parts))
        {
            if (blocks is not null) DrawBlocks(page, way, blocks, labels.Stream(within), uses);
            if (hourglass is not null) DrawHourglass(page, way, hourglass, within, uses);
        }
    }

    private void DrawBlocks(SvgPage page, Column way, BlockRuns blocks, string stream, List<(int X, int Y)> uses)
    {
        var isFramed = blocks.Repetitions > 1 && blocks.Unit.Count > 1;
        if (isFramed)
        {
            way.Line(stream);
            var top = way.Y;
            page.Text("name", way.Left, top + 20, $"\u00d7 {blocks.Repetitions}", Card.Size);
            DrawRuns(blocks.Unit, 1);
            way.Line(stream);
            page.RectangleBehind("dashed", way.Left - Inset, top, way.Right - way.Left + 2 * Inset, way.Y - top, radius: 8);
        }
        else
        {
            DrawRuns(blocks.Unit, blocks.Repetitions);
        }
        DrawRuns(blocks.Rest, 1);

        void DrawRuns(IReadOnlyList<(int Block, int Count)> runs, int times)
        {
            foreach (var (number, count) in runs)
            {
                way.Arrow(stream);
                var middle = way.Add(Block(number, count * times));
                if (cards.TakesPosition(order.Different[number])) uses.Add((way.Left, middle));
            }
        }
    }

    private void DrawHourglass(SvgPage page, Column way, HourglassSpec hourglass, HourglassSpec? within, List<(int X, int Y)> uses)
    {
        way.Line(labels.Vectors(within));
        var (top, left, width) = (way.Y, way.Left, way.Right - way.Left);
        page.Text("name", left + Inset, top + 20, labels.NameOf(hourglass), Card.Size);
        way.Narrow(Step);
        way.Line("");
        var branch = way.Y;
        way.Arrow("");
        way.Add(cards.Into(hourglass, labels.Groups(hourglass, within)));
        if (hourglass.Config.Boundaries is not null)
        {
            way.Arrow(labels.Vectors(hourglass));
            way.Add(cards.Norm("norm"));
        }
        Draw(page, way, hourglass.Layers, hourglass, uses);
        way.Arrow(labels.Vectors(hourglass));
        var upsampling = way.Add(cards.OutOf(hourglass));
        if (hourglass.Config.Upsampling is AttentionUpsamplingConfig)
        {
            way.PassInto(branch, upsampling);    // what passes by asks, the groups answer
        }
        else
        {
            way.Arrow(labels.Vectors(within));
            way.PassBy(branch, way.Plus());
        }
        way.Line("", Tail);
        way.Narrow(-Step);
        page.RectangleBehind("dashed", left, top, width, way.Y - top, radius: 8);
    }
}
