using System.Buffers;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;

namespace Transformer.Tokenization;

/// <summary>
/// Finds added tokens in a text: the leftmost first and of those that begin there the longest, as Hugging Face's tokenizers do.
/// </summary>
internal sealed class AddedTokenSplit
{
    private readonly (string Content, AddedToken Token)[] longestFirst;
    private readonly SearchValues<string> contents;

    /// <param name="tokens">What is looked for, and the token that it stands for.</param>
    public AddedTokenSplit(IEnumerable<(string Content, AddedToken Token)> tokens)
    {
        longestFirst = [.. tokens.OrderByDescending(token => token.Content.Length)];
        contents = SearchValues.Create([.. longestFirst.Select(token => token.Content)], StringComparison.Ordinal);
    }

    /// <summary>The length of the longest content, 0 where there is none.</summary>
    public int Longest => longestFirst is [var first, ..] ? first.Content.Length : 0;

    /// <summary>Cuts a text into added tokens and what stands between them.</summary>
    public List<TextPart> Parts(ReadOnlySpan<char> text)
    {
        var parts = new List<TextPart>();
        var (begin, from) = (0, 0);
        while (longestFirst.Length > 0 && text[from..].IndexOfAny(contents) is >= 0 and var offset)
        {
            var start = from + offset;
            var token = At(text[start..]);
            var end = from = start + token.Content.Length;
            if (token.Token.SingleWord && (EndsWithWord(text[..start]) || BeginsWithWord(text[end..]))) continue;
            if (token.Token.LeftStrip) while (start > begin && char.IsWhiteSpace(text[start - 1])) start--;
            if (token.Token.RightStrip) while (end < text.Length && char.IsWhiteSpace(text[end])) end++;
            if (begin < start) parts.Add(new(begin, start, null));
            parts.Add(new(start, end, token.Token.Id));
            begin = end;
        }
        if (begin < text.Length) parts.Add(new(begin, text.Length, null));
        return parts;
    }

    private (string Content, AddedToken Token) At(ReadOnlySpan<char> text)
    {
        foreach (var token in longestFirst)
            if (text.StartsWith(token.Content, StringComparison.Ordinal)) return token;
        throw new InvalidOperationException("no added token begins where one was found");
    }

    private static bool EndsWithWord(ReadOnlySpan<char> text) =>
        Rune.DecodeLastFromUtf16(text, out var character, out _) == OperationStatus.Done && IsWord(character);

    private static bool BeginsWithWord(ReadOnlySpan<char> text) =>
        Rune.DecodeFromUtf16(text, out var character, out _) == OperationStatus.Done && IsWord(character);

    // \w of Unicode's regular expressions.
    private static bool IsWord(Rune character) => character.Value is 0x200C or 0x200D
        || Rune.GetUnicodeCategory(character) is <= UnicodeCategory.DecimalDigitNumber or UnicodeCategory.LetterNumber
            or UnicodeCategory.ConnectorPunctuation;
}

/// <summary>A part of a text.</summary>
/// <param name="Start">Its first character.</param>
/// <param name="End">The character behind it.</param>
/// <param name="Id">The added token that it is; null where it is text.</param>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct TextPart(int Start, int End, int? Id);
