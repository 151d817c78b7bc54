using System.Text.RegularExpressions;
using Transformer.Configuration;

namespace Transformer.Conversations;

/// <summary>Turns as lines <c>role: text</c>; further lines of a text are indented by two spaces.</summary>
public static partial class TurnLines
{
    private const string Indent = "  ";

    /// <summary>The turns of a text of such lines. Empty lines between turns are skipped.</summary>
    /// <param name="text">The lines.</param>
    /// <param name="source">Where they are from, for messages.</param>
    /// <exception cref="InputException">A line is neither a turn nor indented, a turn cannot be kept, or there are none.</exception>
    public static IReadOnlyList<(string Role, string Text)> Parse(string text, string source)
    {
        var turns = new List<(string Role, int Line, List<string> Lines)>();
        var empty = 0;    // lines, which belong to a text only if it goes on
        foreach (var (index, line) in text.ReplaceLineEndings("\n").Split('\n').Index())
        {
            if (string.IsNullOrWhiteSpace(line)) empty++;
            else if (char.IsWhiteSpace(line[0]) && turns is [.., var last])
            {
                last.Lines.AddRange(Enumerable.Repeat("", empty));
                last.Lines.Add(line.StartsWith(Indent, StringComparison.Ordinal) ? line[Indent.Length..] : line[1..]);
                empty = 0;
            }
            else if (Start().Match(line) is { Success: true } start)
            {
                var role = start.Groups["role"].Value;
                ConversationMemory.CheckRole($"{source}:{index + 1}: role", role);
                turns.Add((role, index + 1, [start.Groups["text"].Value]));
                empty = 0;
            }
            else
                throw new InputException(
                    $"{source}:{index + 1}: found no role; expected `role: text`, or two spaces before what continues the turn above.");
        }
        return turns.Count > 0 ? [.. turns.Select(turn => (turn.Role, TextOf(turn.Role, turn.Line, turn.Lines)))]
            : throw new InputException($"{source}: found no turns, expected lines `role: text`.");

        string TextOf(string role, int line, List<string> lines) => lines.All(string.IsNullOrWhiteSpace)
            ? throw new InputException($"{source}:{line}: a turn of {role} has no text.")
            : string.Join('\n', lines).Trim('\n');
    }

    internal static string Line(string role, string text) => $"{role}: {text.ReplaceLineEndings($"\n{Indent}")}";

    [GeneratedRegex(@"^(?<role>[^\s:][^:]*):(?: (?<text>.*)|\s*)$")]
    private static partial Regex Start();
}
