using Transformer.Configuration;

namespace Transformer.Diagrams;

// B batch · T tokens · S groups · C width

/// <summary>One block: its sub-layers from top to bottom, the stream that passes each by, norms where the residual has them.</summary>
internal sealed class BlockPanel : Panel
{
    private readonly ModelConfig model;
    private readonly Card norm;
    private readonly string vectors, stream;
    private readonly IReadOnlyList<(SublayerSpec Names, Card Function)> sublayers;

    /// <param name="model">The model.</param>
    /// <param name="cards">Its cards.</param>
    /// <param name="block">One of its blocks.</param>
    /// <param name="name">What the block is called.</param>
    /// <param name="depths">Which blocks are like it.</param>
    /// <param name="length">How many vectors of a text it reads: T, or S.</param>
    public BlockPanel(ModelConfig model, PartCards cards, BlockSpec block, string name, string depths, string length)
        : base(name, depths)
    {
        (vectors, stream) = (PartCards.Vectors(length), cards.Stream(length));
        (this.model, norm) = (model, cards.Norm("norm"));
        sublayers = [.. block.Sublayers.Select(sublayer => (sublayer, cards.Function(block, sublayer)))];
    }

    private protected override int ContentWidth => Math.Max(Column.Bypass + CardWidth, TextWidth.Of(Residual, Card.SmallSize));

    private int CardWidth => Math.Max(Column.LeastWidth, sublayers.Select(sublayer => sublayer.Function.Width).Append(norm.Width).Max());

    private string Residual
    {
        get
        {
            string[] learned = [.. model.Residual.Parameters().Select(parameter => parameter.Name)];
            return string.Join(", ", [
                $"residual {Kind.NameOf(model.Residual)}", .. PartSettings.Of(model.Residual),
                .. learned.Length == 0 ? (string[])[] : [$"learned {string.Join(", ", learned)}"]]);
        }
    }

    // A norm in the branch is part of what is added; a norm of the stream itself stands behind the addition.
    private bool NormalizesStream => model.Residual is { NormAfter: true, LastNorm: false };

    private protected override int Draw(SvgPage page, int x, int y)
    {
        page.Text("muted", x, y + 6, Residual, Card.SmallSize);
        var column = new Column(page, x + Column.Bypass, CardWidth, y + 16);
        column.Line(stream);
        foreach (var (names, function) in sublayers)
        {
            Draw(column, names, function);
            if (names == sublayers[^1].Names) column.Arrow(stream);
            else column.Line(stream);
        }
        return column.Y;
    }

    private void Draw(Column column, SublayerSpec names, Card function)
    {
        var branch = column.Y;
        if (names.NormBefore is not null) Next(norm);
        Next(function);
        if (names.NormAfter is not null && !NormalizesStream) Next(norm);
        column.Arrow(vectors);
        column.PassBy(branch, column.Plus());
        if (names.NormAfter is not null && NormalizesStream) Next(norm);

        void Next(Card card)
        {
            column.Arrow(column.Y == branch && stream == vectors ? "" : vectors);
            column.Add(card);
        }
    }
}
