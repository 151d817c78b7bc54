using Transformer.Configuration;

namespace Transformer.Diagrams;

// T tokens · S groups · s tokens of a group

/// <summary>The numbers of one text: how many tokens it has, and how many groups hourglasses make of them.</summary>
/// <param name="model">The model.</param>
/// <param name="tokens">T.</param>
/// <param name="texts">The groups, for each hourglass that reads tokens.</param>
internal sealed class TextLabels(ModelConfig model, int tokens, IReadOnlyList<GroupedText> texts) : StackLabels(model)
{
    /// <inheritdoc/>
    public override string Vectors(HourglassSpec? within) => within is null ? Words(tokens, "token") : Words(Groups(within), "group");

    /// <inheritdoc/>
    public override string Groups(HourglassSpec hourglass, HourglassSpec? within) => $"{Vectors(within)} \u2192 {Vectors(hourglass)}";

    // Where groups are grouped by what a network predicts, nobody has counted them; and segments are grouped one by one.
    private int? Groups(HourglassSpec hourglass)
    {
        if (texts.FirstOrDefault(text => text.Path == hourglass.Path) is { } text) return text.Groups;
        if (hourglass.Config.Shorten is null || Model.HasSegments) return null;
        var around = Hourglasses.First(outer => outer.Layers.Any(inner => inner.Path == hourglass.Path));
        var read = Groups(around) + (around.Config.Boundaries is null ? 0 : 1);    // the null group
        return read is { } vectors ? hourglass.Config.Groups(vectors) : null;
    }

    private static string Words(int? count, string noun) => count switch { null => $"{noun}s", 1 => $"1 {noun}", _ => $"{count} {noun}s" };
}
