using System.Text;

namespace Transformer.Tokenization;

/// <summary>
/// GPT-2's split of a text into the pieces that are merged by themselves (Radford et al. 2019):
/// <c>'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+</c>,
/// by hand, because .NET's regular expressions see the two surrogates of a letter above U+FFFF and not the letter.
/// </summary>
internal static class GptPieces
{
    private static readonly string[] Contractions = ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d"];

    private enum Kind { Letter, Number, WhiteSpace, Other }

    /// <summary>The length of the piece at the start of a text that is not empty.</summary>
    public static int First(ReadOnlySpan<char> text)
    {
        foreach (var contraction in Contractions)
        {
            if (text.StartsWith(contraction, StringComparison.Ordinal)) return contraction.Length;
        }
        var start = text[0] == ' ' && text.Length > 1 && KindOf(text[1..], out _) != Kind.WhiteSpace ? 1 : 0;
        var kind = KindOf(text[start..], out var end);
        end += start;
        while (end < text.Length && KindOf(text[end..], out var length) == kind) end += length;
        var leavesOneToTheNext = kind == Kind.WhiteSpace && end > 1 && end < text.Length;
        return leavesOneToTheNext ? end - 1 : end;
    }

    /// <summary>
    /// The last position where both sides split as the whole does: before a white space that is followed by something else. Such a white
    /// space always begins a piece, and the run of white space before it is one piece with or without it. 0 where there is none.
    /// </summary>
    public static int LastCut(ReadOnlySpan<char> text)
    {
        for (var i = text.Length - 2; i > 0; i--)
        {
            if (char.IsWhiteSpace(text[i]) && !char.IsWhiteSpace(text[i + 1])) return i;
        }
        return 0;
    }

    private static Kind KindOf(ReadOnlySpan<char> text, out int length)
    {
        _ = Rune.DecodeFromUtf16(text, out var character, out length);
        return Rune.IsLetter(character) ? Kind.Letter
            : Rune.IsNumber(character) ? Kind.Number
            : Rune.IsWhiteSpace(character) ? Kind.WhiteSpace
            : Kind.Other;
    }
}
