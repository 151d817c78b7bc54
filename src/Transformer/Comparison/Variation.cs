using Transformer.Configuration;

namespace Transformer.Comparison;

/// <summary>A key of the configuration with the values that an ablation gives it.</summary>
/// <param name="Key">The dotted key, such as <c>model.attention.kind</c>.</param>
/// <param name="Values">The values as YAML; the first one is the reference.</param>
public sealed record Variation(string Key, IReadOnlyList<string> Values)
{
    /// <summary>Reads <c>KEY=A,B,...</c>. Commas within brackets, braces and quotes belong to a value.</summary>
    /// <exception cref="InputException">The text has no key, or an empty value, or the same one twice.</exception>
    public static Variation Parse(string text)
    {
        var at = text.IndexOf('=');
        if (at < 1) throw new InputException($"--vary {text}: expected KEY=VALUE,VALUE, e.g. --vary model.position.kind=rope,alibi");
        var (key, values) = (text[..at].Trim(), Split(text[(at + 1)..]));
        if (values.Any(value => value.Length == 0))
            throw new InputException($"--vary {text}: found an empty value, expected values between the commas");
        if (values.GroupBy(value => value).FirstOrDefault(alike => alike.Count() > 1) is { } twice)
            throw new InputException($"--vary {text}: found {twice.Key} twice");
        return new(key, values);
    }

    /// <summary>All combinations of the values, one setting per key; the first one has the first value of every key.</summary>
    public static IEnumerable<IReadOnlyList<string>> Grid(IReadOnlyList<Variation> variations) => variations.Aggregate(
        (IEnumerable<IReadOnlyList<string>>)[[]],
        (grid, variation) => grid.SelectMany(settings => variation.Values.Select(
            value => (IReadOnlyList<string>)[.. settings, $"{variation.Key}={value}"])));

    /// <summary>
    /// A short name of a value: a word stands for itself, a part for its kind unless two are of the same kind, and anything else follows
    /// its key, e.g. width 96.
    /// </summary>
    public string NameOf(string value)
    {
        var kinds = Values.Select(KindOf).ToList();
        if (KindOf(value) is { } kind && kinds.Count(other => other == kind) == 1) return kind;
        var text = value.Trim('{', '}', '"', '\'');
        return char.IsAsciiLetter(text.FirstOrDefault()) && text is not ("true" or "false" or "null") && KindOf(value) is null
            ? text : $"{Key.Split('.')[^1]} {text}";
    }

    private static string? KindOf(string value) =>
        value.StartsWith('{') && Split(value[1..^1]).FirstOrDefault(part => part.StartsWith("kind:", StringComparison.Ordinal)) is { } kind
            ? kind["kind:".Length..].Trim()
            : null;

    private static List<string> Split(string text)
    {
        var (parts, depth, begin, quote) = (new List<string>(), 0, 0, '\0');
        for (var i = 0; i < text.Length; i++)
        {
            var c = text[i];
            if (quote != '\0') quote = c == quote ? '\0' : quote;
            else if (c is '"' or '\'') quote = c;
            else if (c is '[' or '{') depth++;
            else if (c is ']' or '}') depth--;
            else if (c == ',' && depth == 0)
            {
                parts.Add(text[begin..i].Trim());
                begin = i + 1;
            }
        }
        parts.Add(text[begin..].Trim());
        return parts;
    }
}
