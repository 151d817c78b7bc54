using System.Globalization;
using System.Text;
using Transformer.Configuration;

namespace Transformer.Generation.Constraints;

/// <summary>
/// Reads regular expressions: characters, <c>.</c>, classes, the escapes <c>\d \w \s</c> and their opposites (of ASCII),
/// <c>\t \n \r \f \v \xHH \uHHHH</c>, groups, <c>|</c>, <c>* + ? {m} {m,} {m,n}</c>. What a finite automaton cannot match (back references,
/// lookaround) and what dialects read in different ways is refused by name.
/// </summary>
internal sealed class RegexParser
{
    private const int DeepestGroup = 100, MostRepeats = 1_000_000;

    private readonly ExpressionTable table;
    private readonly Func<CharacterSet, Expression> encode;
    private readonly bool search;
    private readonly string pattern;
    private int at, depth;
    private bool isNegated;    // inside [^

    private RegexParser(ExpressionTable table, string pattern, Func<CharacterSet, Expression> encode, bool search) =>
        (this.table, this.pattern, this.encode, this.search) = (table, pattern, encode, search);

    /// <summary>Reads a pattern.</summary>
    /// <param name="table">The table of the expression.</param>
    /// <param name="pattern">The pattern.</param>
    /// <param name="encode">The expression of a set of characters; UTF-8 where null.</param>
    /// <param name="search">Whether the text must match in other dialects of regular expressions: the pattern may match anywhere in
    /// a text, unless it has <c>^</c> and <c>$</c>, and <c>. \d \w \s</c> and their opposites match what all dialects accept.
    /// Otherwise the pattern is the whole text.</param>
    /// <exception cref="InputException">The pattern is not one, or not one of this kind.</exception>
    public static Expression Parse(
        ExpressionTable table, string pattern, Func<CharacterSet, Expression>? encode = null, bool search = false)
    {
        var parser = new RegexParser(table, pattern, encode ?? (characters => Utf8Expressions.Of(table, characters)), search);
        var expression = parser.Alternatives();
        return parser.at == pattern.Length ? expression : throw parser.Bad("')' without '('");
    }

    private Expression Alternatives()
    {
        var alternatives = new List<Expression>();
        do alternatives.Add(Alternative());
        while (Take('|'));
        return table.Choice([.. alternatives]);
    }

    private Expression Alternative()
    {
        var parts = new List<Expression>();
        var anywhere = search && depth == 0 ? table.Repeat(encode(CharacterSet.All), 0, null) : table.Empty;
        parts.Add(depth == 0 && Take('^') ? table.Empty : anywhere);
        while (!AtEnd && pattern[at] is not ('|' or ')'))
        {
            if (depth == 0 && pattern[at] == '$' && (at + 1 == pattern.Length || pattern[at + 1] == '|'))
            {
                at++;
                anywhere = table.Empty;
            }
            else parts.Add(Quantified(Atom()));
        }
        return table.Sequence([.. parts, anywhere]);
    }

    private Expression Atom()
    {
        switch (pattern[at])
        {
            case '(': return Group();
            case '[': return encode(Class());
            case '.': at++; return encode(search ? CharacterSet.NoLineBreaks : CharacterSet.All.Except(CharacterSet.Range('\n', '\n')));
            case '\\': return encode(Escape());
            case '^' or '$':
                throw Bad(
                $"'{pattern[at]}' is neither at the beginning nor at the end of the text; write \\{pattern[at]} for the character");
            case '*' or '+' or '?': throw Bad($"'{pattern[at]}' has nothing to repeat; write \\{pattern[at]} for the character");
            case '{' when Counts() is not null: throw Bad("'{' has nothing to repeat; write \\{ for the character");
            default: return encode(CharacterSet.Of(Character()));
        }
    }

    private Expression Group()
    {
        var opened = at++;
        if (Take('?') && !Take(':'))
            throw Bad("a group that begins with (? is unknown, expected ( or (?: alone; lookaround and named groups are not supported");
        if (++depth > DeepestGroup) throw Bad($"groups within groups, expected {DeepestGroup} at most");
        var inner = Alternatives();
        depth--;
        return Take(')') ? inner : throw Bad("'(' without ')'", opened);
    }

    private Expression Quantified(Expression atom)
    {
        if (Counts() is not var (least, most, length)) return atom;
        if (most < least) throw Bad($"at least {least} and at most {most} times");
        at += length;
        Take('?');    // lazy quantifiers match the same texts
        if (!AtEnd && (pattern[at] is '*' or '+' or '?' || Counts() is not null))
            throw Bad("two quantifiers in a row; put the first into a group, (?:...)");
        return table.Repeat(atom, least, most);
    }

    // The quantifier that begins here, or null. A brace without a count is a character.
    private (int Least, int? Most, int Length)? Counts()
    {
        if (AtEnd) return null;
        switch (pattern[at])
        {
            case '*': return (0, null, 1);
            case '+': return (1, null, 1);
            case '?': return (0, 1, 1);
            case '{': break;
            default: return null;
        }
        var end = at + 1;
        while (end < pattern.Length && (char.IsAsciiDigit(pattern[end]) || pattern[end] == ',')) end++;
        if (end == pattern.Length || pattern[end] != '}') return null;
        return pattern[(at + 1)..end].Split(',') switch
        {
            [""] => null,
            ["", _] => throw Bad("'{,' is read in two ways; write {0, for none at least"),
            [var exactly] => (Count(exactly), Count(exactly), end + 1 - at),
            [var least, ""] => (Count(least), null, end + 1 - at),
            [var least, var most] => (Count(least), Count(most), end + 1 - at),
            _ => null,
        };
    }

    private int Count(string digits) =>
        int.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out var count) && count <= MostRepeats
        ? count
        : throw Bad($"{(digits.Length > 20 ? "a count of many digits" : digits)} repeats, expected {MostRepeats} at most");

    private CharacterSet Class()
    {
        var opened = at++;
        isNegated = Take('^');
        if (!AtEnd && pattern[at] == ']')
            throw Bad($"']' directly behind '{pattern[at - 1]}' is read in two ways; write \\] for the character");
        var items = new List<CharacterSet>();
        while (!AtEnd && pattern[at] != ']')
        {
            var item = ClassItem();
            if (at + 1 < pattern.Length && pattern[at] == '-' && pattern[at + 1] != ']')
            {
                at++;
                var last = ClassItem();
                item = item.Single is { } first && last.Single is { } end && first <= end
                    ? CharacterSet.Range(first, end)
                    : throw Bad("a range of characters that has no first and last one in order", at);
            }
            items.Add(item);
        }
        if (!Take(']')) throw Bad("'[' without ']'", opened);
        var characters = CharacterSet.None.Union(items);
        if (isNegated) characters = CharacterSet.All.Except(characters);
        isNegated = false;
        return characters.IsEmpty ? throw Bad("a class without a character", opened) : characters;
    }

    private CharacterSet ClassItem() => pattern[at] switch
    {
        '\\' => Escape(),
        '[' => throw Bad("'[' within a class is read in several ways; write \\[ for the character"),
        _ => CharacterSet.Of(Character()),
    };

    private CharacterSet Escape()
    {
        var escape = at++;
        if (AtEnd) throw Bad("ends with a '\\'", escape);
        switch (pattern[at++])
        {
            case 'd' or 'D': return Kind(CharacterSet.Digits, CharacterSet.NoDigits, pattern[at - 1] == 'D');
            case 'w' or 'W': return Kind(CharacterSet.WordCharacters, CharacterSet.NoWordCharacters, pattern[at - 1] == 'W');
            case 's' or 'S': return Kind(CharacterSet.WhiteSpace, CharacterSet.NoWhiteSpace, pattern[at - 1] == 'S');
            case 't': return One('\t');
            case 'n': return One('\n');
            case 'r': return One('\r');
            case 'f': return One('\f');
            case 'v': return One('\v');
            case 'x': return Hexadecimal(escape, digits: 2);
            case 'u': return Hexadecimal(escape, digits: 4);
            case var other when char.IsAscii(other) && !char.IsAsciiLetterOrDigit(other): return One(other);
            default:
                throw Bad($"'\\{Shown(pattern[at - 1])}' is unknown here, expected one of \\d \\w \\s \\D \\W \\S \\t \\n \\r \\f " +
                "\\v \\xHH \\uHHHH or a sign of punctuation", escape);
        }

        static CharacterSet One(char character) => CharacterSet.Range(character, character);
    }

    // The characters of a class, or the others. Those on which dialects differ are in neither; inside [^, which is negated, in both.
    private CharacterSet Kind(CharacterSet members, CharacterSet others, bool isOther)
    {
        if (!search) others = CharacterSet.All.Except(members);
        var (these, those) = isOther ? (others, members) : (members, others);
        return isNegated ? CharacterSet.All.Except(those) : these;
    }

    private CharacterSet Hexadecimal(int escape, int digits)
    {
        if (at + digits > pattern.Length
            || !int.TryParse(pattern.AsSpan(at, digits), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var code))
            throw Bad($"'\\{pattern[escape + 1]}' without {digits} hexadecimal digits", escape);
        at += digits;
        return Rune.IsValid(code) ? CharacterSet.Of(new Rune(code))
            : throw Bad($"U+{code:X4} is half of a character; write the whole one itself", escape);
    }

    private Rune Character()
    {
        if (Rune.DecodeFromUtf16(pattern.AsSpan(at), out var character, out var length) != System.Buffers.OperationStatus.Done)
            throw Bad("half of a character (a surrogate without the other)");
        at += length;
        return character;
    }

    private bool AtEnd => at >= pattern.Length;

    private bool Take(char expected)
    {
        if (AtEnd || pattern[at] != expected) return false;
        at++;
        return true;
    }

    private static string Shown(char character) =>
        char.IsControl(character) || char.IsSurrogate(character) ? $"U+{(int)character:X4}" : $"{character}";

    private InputException Bad(string problem, int? position = null) => new($"position {position ?? at} of the pattern: {problem}");
}
