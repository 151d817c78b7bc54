using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Transformer.Generation.Constraints;

/// <summary>
/// The parts of JSON (RFC 8259) as expressions. Where JSON allows white space, one space is allowed, so that a model cannot generate white
/// space forever.
/// </summary>
internal sealed class JsonExpressions(ExpressionTable table)
{
    // The characters that JSON escapes with a backslash.
    private static readonly CharacterSet Escaped = CharacterSet.Range(0, 0x1F)
        .Union(CharacterSet.Of(new Rune('"')), CharacterSet.Of(new Rune('\\')));

    /// <summary>One space or none.</summary>
    public Expression Space { get; } = table.Optional(table.Text(" "));

    /// <summary>A comma between values.</summary>
    public Expression Comma => table.Sequence(Space, table.Text(","), Space);

    /// <summary>An integer.</summary>
    public Expression Integer => Regex("-?(0|[1-9][0-9]*)");

    /// <summary>A number.</summary>
    public Expression Number => Regex(@"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?");

    /// <summary>One character of a string, in any spelling. An escaped lone surrogate is none.</summary>
    public Expression Character => table.Choice(
        Utf8Expressions.Of(table, CharacterSet.All.Except(Escaped)),
        Regex(@"\\([""\\/bfnrt]|u([0-9a-cA-Ce-fE-F][0-9a-fA-F]{3}|[dD][0-7][0-9a-fA-F]{2}))"));

    /// <summary>A string.</summary>
    /// <param name="characters">The text between its quotation marks.</param>
    public Expression String(Expression characters) => table.Sequence(table.Text("\""), characters, table.Text("\""));

    /// <summary>An expression between brackets.</summary>
    public Expression Within(string open, Expression inner, string close) =>
        table.Sequence(table.Text(open), Space, inner, Space, table.Text(close));

    /// <summary>A name and a value of an object.</summary>
    public Expression Property(string name, Expression value) =>
        table.Sequence(Literal(JsonValue.Create(name)), Space, table.Text(":"), Space, value);

    /// <summary>A fixed value, in one spelling.</summary>
    public Expression Literal(JsonNode? value) => value switch
    {
        JsonObject inner => table.Sequence(
            table.Text("{"),
            List(inner.Select(pair => table.Sequence(Literal(JsonValue.Create(pair.Key)), table.Text(":"), Literal(pair.Value)))),
            table.Text("}")),
        JsonArray inner => table.Sequence(table.Text("["), List(inner.Select(Literal)), table.Text("]")),
        not null when value.GetValueKind() == JsonValueKind.String =>
            String(table.Sequence([.. value.GetValue<string>().EnumerateRunes().Select(character => Spelt(CharacterSet.Of(character)))])),
        _ => table.Text(value?.ToJsonString() ?? "null"),
    };

    /// <summary>One character of a set, within a string.</summary>
    public Expression Spelt(CharacterSet characters)
    {
        var plain = characters.Except(Escaped);
        var escapes = Escaped.Ranges.SelectMany(range => Enumerable.Range(range.First, range.Last - range.First + 1))
            .Where(characters.Contains)
            .Select(character => table.Text(Escape(character)));
        return plain.IsEmpty ? table.Choice([.. escapes]) : table.Choice([Utf8Expressions.Of(table, plain), .. escapes]);
    }

    private static string Escape(int character) => character switch
    {
        '"' or '\\' => $"\\{(char)character}",
        '\b' => "\\b",
        '\f' => "\\f",
        '\n' => "\\n",
        '\r' => "\\r",
        '\t' => "\\t",
        _ => $"\\u{character:x4}",
    };

    private Expression List(IEnumerable<Expression> values) =>
        table.Sequence([.. values.SelectMany((value, index) => index == 0 ? [value] : (Expression[])[table.Text(","), value])]);

    private Expression Regex(string pattern) => RegexParser.Parse(table, pattern);
}
