using System.Text;

namespace Transformer.Generation.Constraints;

/// <summary>
/// Characters as their UTF-8 bytes, so that a token may hold part of one. A range of characters becomes a few sequences of byte ranges,
/// each of which matches all of its combinations.
/// </summary>
internal static class Utf8Expressions
{
    private const int ContinuationBits = 6;
    private static readonly int[] LastOfLength = [0x7F, 0x7FF, 0xFFFF, 0x10FFFF];

    /// <summary>One character of a set that is not empty.</summary>
    public static Expression Of(ExpressionTable table, CharacterSet characters)
    {
        var (single, alternatives) = (default(ByteSet), new List<Expression>());
        foreach (var (first, last) in characters.Ranges)
            foreach (var row in Rows(first, last))
            {
                if (row is [var only]) single |= only;
                else alternatives.Add(table.Sequence([.. row.Select(table.Byte)]));
            }
        return single == default ? table.Choice([.. alternatives]) : table.Choice([table.Byte(single), .. alternatives]);
    }

    private static IEnumerable<ByteSet[]> Rows(int first, int last) => Cut(first, last) is { } cut
        ? Rows(first, cut).Concat(Rows(cut + 1, last))
        : [[.. Encoded(first).Zip(Encoded(last), (low, high) => ByteSet.Range(low, high))]];

    // Where to split a range that is more than one sequence: the encodings differ in length, or a byte covers part of its values while an
    // earlier one changes.
    private static int? Cut(int first, int last)
    {
        foreach (var end in LastOfLength)
            if (first <= end && end < last) return end;
        var length = Encoded(first).Length;
        for (var bits = ContinuationBits; bits < ContinuationBits * length; bits += ContinuationBits)
        {
            var below = (1 << bits) - 1;
            if ((first & ~below) == (last & ~below)) continue;
            if ((first & below) != 0) return first | below;
            if ((last & below) != below) return (last & ~below) - 1;
        }
        return null;
    }

    private static byte[] Encoded(int character) => Encoding.UTF8.GetBytes(new Rune(character).ToString());
}
