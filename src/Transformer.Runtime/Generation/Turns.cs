using Transformer.Tokenization;

namespace Transformer.Generation;

/// <summary>
/// The turns of a conversation, in tokens: each begins with a line <c>role: text</c> and goes on to the next one. What stands before the
/// second turn, or before the first where a text opens otherwise, is the opening, which is always kept; so is the last turn.
/// </summary>
internal sealed class Turns
{
    private const int LongestRole = 32;

    private readonly List<int> starts = [];
    private readonly int end;

    /// <param name="tokens">The text.</param>
    /// <param name="tokenizer">What the tokens mean.</param>
    public Turns(ReadOnlySpan<int> tokens, Tokenizer tokenizer)
    {
        end = tokens.Length;
        var line = new List<byte>();    // the beginning of the current line
        var (first, isCut, isRole) = (0, false, false);    // the token that begins it, whether within that token, whether it is `role:`
        int? previous = null;
        for (var token = 0; token < tokens.Length; token++)
        {
            if (tokens[token] < 0) continue;    // a picture has no text
            foreach (var value in tokenizer.BytesOf(tokens[token], previous))
            {
                if (isRole && (value is (byte)' ' or (byte)'\n')) starts.Add(first);
                isRole = value == ':' && !(isCut || first > token) && IsRole(line, first == 0);
                if (value == '\n')
                {
                    (first, isCut) = (token + 1, false);
                    line.Clear();
                    continue;
                }
                if (first > token) (first, isCut) = (token, true);
                if (line.Count <= LongestRole) line.Add(value);
            }
            previous = tokens[token];
        }
        if (isRole) starts.Add(first);
        if (starts is [0, _, ..]) starts.RemoveAt(0);    // the first turn is the opening
    }

    /// <summary>Why the text cannot be cut so that it fits.</summary>
    public string Obstacle => starts.Count == 0
        ? "it has no lines `role: text` of which the oldest could be dropped"
        : $"its first and its last turn alone have {starts[0] + end - starts[^1]}";

    /// <summary>The oldest turns behind the opening without which the text fits.</summary>
    /// <param name="capacity">How many tokens fit.</param>
    /// <returns>The first token to be dropped, the number of tokens and of turns; null where the opening and the last turn are too
    /// long.</returns>
    public (int First, int Count, int Turns)? Fit(int capacity)
    {
        for (var turn = 1; turn < starts.Count; turn++)
            if (starts[0] + end - starts[turn] <= capacity) return (starts[0], starts[turn] - starts[0], turn);
        return null;
    }

    // What may stand before the colon: letters, digits, spaces, dashes and underscores, of which the first is a letter. Some tokenizers put
    // a space before a text.
    private static bool IsRole(List<byte> line, bool isFirst)
    {
        byte[] text = [.. line.Skip(isFirst && line is [(byte)' ', ..] ? 1 : 0)];
        return text.Length is > 0 and <= LongestRole && char.IsAsciiLetter((char)text[0])
            && Array.TrueForAll(text, value => char.IsAsciiLetterOrDigit((char)value) || value is (byte)' ' or (byte)'-' or (byte)'_');
    }
}
