using System.Globalization;

namespace Transformer.Diagrams;

/// <summary>A box with text: what the part is for, its kind, and at the right its parameters; below, its settings.</summary>
/// <param name="Family">The class by which the style colours it: <c>mixer</c>, <c>mlp</c>, <c>norm</c>.</param>
/// <param name="Role">What the part is for, in muted letters; empty where the name says it.</param>
/// <param name="Name">Its kind, in bold.</param>
/// <param name="Note">What stands at the right of the first line.</param>
/// <param name="Lines">The settings.</param>
internal sealed record Card(string Family, string Role, string Name, string Note, IReadOnlyList<string> Lines)
{
    /// <summary>The size of the letters in pixels.</summary>
    public const int Size = 13, SmallSize = 12;

    /// <summary>The distance from text to edge.</summary>
    public const int Padding = 12;

    /// <summary>The distance from line to line.</summary>
    public const int LineHeight = 17;

    private const int FirstLine = 34, Gap = 14, LongestLine = 300;

    /// <summary>Where the name begins, from the card's left edge.</summary>
    public int NameAt => Padding + (Role.Length == 0 ? 0 : TextWidth.Of(Role + " ", Size));

    /// <summary>The least width that holds the text.</summary>
    public int Width => Math.Max(
        NameAt + TextWidth.Of(Name, Size, isBold: true) + (Note.Length == 0 ? 0 : Gap + TextWidth.Of(Note, SmallSize)) + Padding,
        Lines.Select(line => TextWidth.Of(line, SmallSize)).DefaultIfEmpty().Max() + 2 * Padding);

    /// <summary>Its height.</summary>
    public int Height => FirstLine + Lines.Count * LineHeight;

    /// <summary>A card whose settings are set in lines, as many to a line as fit.</summary>
    public static Card Of(string family, string role, string name, string note, IEnumerable<string> settings) =>
        new(family, role, name, note, [.. Wrap(settings)]);

    /// <summary>A number of parameters as a note shows it; none where there are none.</summary>
    public static string Count(long parameters) =>
        parameters == 0 ? "" : string.Create(CultureInfo.InvariantCulture, $"{parameters:N0} parameter{(parameters == 1 ? "" : "s")}");

    private static IEnumerable<string> Wrap(IEnumerable<string> settings)
    {
        var line = "";
        foreach (var setting in settings)
        {
            var longer = line.Length == 0 ? setting : $"{line} \u00b7 {setting}";
            if (line.Length > 0 && TextWidth.Of(longer, SmallSize) > LongestLine)
            {
                yield return line;
                longer = setting;
            }
            line = longer;
        }
        if (line.Length > 0) yield return line;
    }
}
