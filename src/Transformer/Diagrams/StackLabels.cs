using System.Globalization;
using Transformer.Configuration;

namespace Transformer.Diagrams;

// B batch · T tokens · S groups · C width · s tokens of a group

/// <summary>What a drawn stack says of the vectors that pass through it.</summary>
internal abstract class StackLabels
{
    /// <param name="model">The model.</param>
    private protected StackLabels(ModelConfig model) =>
        (Model, Hourglasses) = (model, [.. model.Hourglasses()]);

    /// <summary>The model.</summary>
    protected ModelConfig Model { get; }

    /// <summary>All of its hourglasses, an outer one before those in it.</summary>
    protected IReadOnlyList<HourglassSpec> Hourglasses { get; }

    /// <summary>What an hourglass is called.</summary>
    public string NameOf(HourglassSpec hourglass) => Hourglasses.Count == 1 ? "hourglass" : $"hourglass {NumberOf(hourglass)}";

    /// <summary>What the layers of an hourglass are given and give, or those outside of all where it is null.</summary>
    public abstract string Vectors(HourglassSpec? within);

    /// <summary>The stream between them.</summary>
    public virtual string Stream(HourglassSpec? within) => Vectors(within);

    /// <summary>How many groups an hourglass makes of what it reads.</summary>
    /// <param name="hourglass">The hourglass.</param>
    /// <param name="within">The one that it is in; null where it reads tokens.</param>
    public abstract string Groups(HourglassSpec hourglass, HourglassSpec? within);

    /// <summary>Counted from 1.</summary>
    protected int NumberOf(HourglassSpec hourglass) => Hourglasses.Index().Single(known => known.Item.Path == hourglass.Path).Index + 1;
}

/// <summary>Shapes: <c>[B, T, C]</c> of tokens, <c>[B, S, C]</c> of groups.</summary>
/// <param name="model">The model.</param>
/// <param name="cards">Its cards.</param>
internal sealed class ShapeLabels(ModelConfig model, PartCards cards) : StackLabels(model)
{
    /// <inheritdoc/>
    public override string Vectors(HourglassSpec? within) => PartCards.Vectors(LengthIn(within));

    /// <inheritdoc/>
    public override string Stream(HourglassSpec? within) => cards.Stream(LengthIn(within));

    /// <inheritdoc/>
    public override string Groups(HourglassSpec hourglass, HourglassSpec? within)
    {
        var (own, read) = (LengthIn(hourglass), LengthIn(within));
        return hourglass.Config.Shorten is { } shorten
            ? $"{own} = \u2308{read} / {shorten}\u2309 groups"
            : string.Create(CultureInfo.InvariantCulture, $"{own} \u2248 {hourglass.Config.Boundaries!.Rate:0.####} {read} groups");
    }

    /// <summary>How many vectors of a text some blocks read: T; or S, where all of them are in one hourglass.</summary>
    public string LengthOf(IEnumerable<BlockSpec> blocks)
    {
        string[] lengths = [.. blocks.Select(block => LengthIn(Hourglasses.LastOrDefault(
            hourglass => hourglass.Layers.OfType<BlockSpec>().Any(inner => inner.Depth == block.Depth)))).Distinct()];
        return lengths is [var only] ? only : LengthIn(null);
    }

    // S has a number where several hourglasses have one.
    private string LengthIn(HourglassSpec? within) => within is null ? "T"
        : Hourglasses.Count == 1 ? "S"
        : $"S{string.Concat(NumberOf(within).ToString(CultureInfo.InvariantCulture).Select(digit => (char)('\u2080' + (digit - '0'))))}";
}
