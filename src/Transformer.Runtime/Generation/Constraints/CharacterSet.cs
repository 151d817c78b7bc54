using System.Globalization;
using System.Text;

namespace Transformer.Generation.Constraints;

/// <summary>A set of Unicode characters (code points without the surrogates), as ranges in order that do not touch.</summary>
internal sealed class CharacterSet
{
    private const int Last = 0x10FFFF, FirstSurrogate = 0xD800, LastSurrogate = 0xDFFF;

    private CharacterSet(IReadOnlyList<(int First, int Last)> ranges) => Ranges = ranges;

    /// <summary>No character.</summary>
    public static CharacterSet None { get; } = new([]);

    /// <summary>Every character.</summary>
    public static CharacterSet All { get; } = Range(0, Last);

    /// <summary><c>\d</c>: ASCII's digits.</summary>
    public static CharacterSet Digits { get; } = Range('0', '9');

    /// <summary><c>\w</c>: ASCII's letters, digits and the underscore.</summary>
    public static CharacterSet WordCharacters { get; } = Joined([('0', '9'), ('A', 'Z'), ('a', 'z'), ('_', '_')]);

    /// <summary><c>\s</c>: ASCII's white space.</summary>
    public static CharacterSet WhiteSpace { get; } = Joined([(' ', ' '), ('\t', '\r')]);

    /// <summary>The characters that are no digit in any dialect, Unicode's digits included.</summary>
    public static CharacterSet NoDigits { get; } = All.Except(Joined(
        Enumerable.Range(0, Last + 1).Where(code => CharUnicodeInfo.GetUnicodeCategory(code) == UnicodeCategory.DecimalDigitNumber)
            .Select(code => (code, code))));

    /// <summary>
    /// Characters that are no letter, digit, mark or underscore in any dialect: the other ASCII characters, and blocks of punctuation and
    /// symbols. All such characters would be many hundred ranges, and they depend on the version of Unicode.
    /// </summary>
    public static CharacterSet NoWordCharacters { get; } = Range(0, 0x7F).Except(WordCharacters).Union(Joined(
        [(0xA1, 0xA9), (0xAB, 0xAB), (0xBB, 0xBB), (0xBF, 0xBF), (0x2010, 0x2027), (0x2030, 0x203E), (0x20A0, 0x20BF), (0x2190, 0x23FF),
            (0x2500, 0x2775), (0x1F300, 0x1F64F)]));

    /// <summary>
    /// The characters that are no white space in any dialect; Unicode's, ASCII's separators and the byte order mark count as white space.
    /// </summary>
    public static CharacterSet NoWhiteSpace { get; } = All.Except(WhiteSpace.Union(Joined(
        [(0x1C, 0x1F), (0x85, 0x85), (0xA0, 0xA0), (0x1680, 0x1680), (0x180E, 0x180E), (0x2000, 0x200B), (0x2028, 0x2029), (0x202F, 0x202F),
            (0x205F, 0x205F), (0x3000, 0x3000), (0xFEFF, 0xFEFF)])));

    /// <summary>What <c>.</c> matches in every dialect: no character that ends a line in any of them.</summary>
    public static CharacterSet NoLineBreaks { get; } = All.Except(Joined([('\n', '\r'), (0x85, 0x85), (0x2028, 0x2029)]));

    /// <summary>The ranges.</summary>
    public IReadOnlyList<(int First, int Last)> Ranges { get; }

    /// <summary>Whether there is no character in it.</summary>
    public bool IsEmpty => Ranges.Count == 0;

    /// <summary>The one character in it; null where there are others or none.</summary>
    public int? Single => Ranges is [var (first, last)] && first == last ? first : null;

    /// <summary>The characters from the first to the last.</summary>
    public static CharacterSet Range(int first, int last) =>
        Joined([(first, Math.Min(last, FirstSurrogate - 1)), (Math.Max(first, LastSurrogate + 1), last)]);

    /// <summary>One character.</summary>
    public static CharacterSet Of(Rune character) => Range(character.Value, character.Value);

    /// <summary>The characters of this set and of others.</summary>
    public CharacterSet Union(params IEnumerable<CharacterSet> others) => Joined(others.Prepend(this).SelectMany(set => set.Ranges));

    /// <summary>The characters that are not in another set.</summary>
    public CharacterSet Except(CharacterSet other)
    {
        var left = new List<(int, int)>();
        foreach (var (first, last) in Ranges)
        {
            var from = first;
            foreach (var gone in other.Ranges)
            {
                if (gone.Last < from || gone.First > last) continue;
                if (gone.First > from) left.Add((from, gone.First - 1));
                from = gone.Last + 1;
            }
            if (from <= last) left.Add((from, last));
        }
        return new(left);
    }

    /// <summary>Whether a character is in it.</summary>
    public bool Contains(int character) => Ranges.Any(range => character >= range.First && character <= range.Last);

    private static CharacterSet Joined(IEnumerable<(int First, int Last)> ranges)
    {
        var joined = new List<(int First, int Last)>();
        foreach (var range in ranges.Where(range => range.First <= range.Last).Order())
        {
            if (joined is [.., var before] && range.First <= before.Last + 1)
                joined[^1] = (before.First, Math.Max(before.Last, range.Last));
            else joined.Add(range);
        }
        return new(joined);
    }
}
