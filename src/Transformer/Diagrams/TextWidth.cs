namespace Transformer.Diagrams;

/// <summary>
/// About how wide a text is. The reader's fonts are not known here, so it goes by DejaVu Sans, the widest of the usual ones.
/// </summary>
internal static class TextWidth
{
    private const double Narrow = 0.40, Middle = 0.64, Capital = 0.74, Wide = 1.0, Bold = 1.1;

    /// <summary>The width of a text in pixels, rounded up.</summary>
    /// <param name="text">One line.</param>
    /// <param name="size">The font's size in pixels.</param>
    /// <param name="isBold">Whether it is set in bold.</param>
    public static int Of(string text, int size, bool isBold = false) =>
        (int)Math.Ceiling(text.Sum(WidthOf) * size * (isBold ? Bold : 1));

    private static double WidthOf(char character) => character switch
    {
        'i' or 'j' or 'l' or 't' or 'f' or 'r' or 'I' or ' ' or '.' or ',' or ':' or '\'' or '-' or '[' or ']' or '(' or ')' => Narrow,
        'm' or 'w' or 'M' or 'W' or '@' or '%' => Wide,
        >= 'A' and <= 'Z' => Capital,
        > '\u00ff' => Wide,
        _ => Middle,
    };
}
