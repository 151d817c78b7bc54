using System.Globalization;
using System.Text;

namespace Transformer.Conversations;

/// <summary>The words of a query, each in quotes, so that nothing in it is an operator of FTS5.</summary>
internal static class SearchWords
{
    /// <summary>The most different words of a query; of a longer one the last count, since a question stands at its end.</summary>
    public const int Most = 100;

    /// <summary>The different words of a text: runs of letters, digits and the marks on them, as FTS5's unicode61 splits text.</summary>
    public static IReadOnlyList<string> Of(string text)
    {
        var words = new List<string>();
        var word = new StringBuilder();
        foreach (var rune in text.EnumerateRunes())
        {
            if (IsPart(rune)) word.Append(rune);
            else End();
        }
        End();
        return [.. words.AsEnumerable().Reverse().Distinct(StringComparer.OrdinalIgnoreCase).Take(Most).Select(found => $"\"{found}\"")];

        void End()
        {
            if (word.Length > 0) words.Add(word.ToString());
            word.Clear();
        }
    }

    private static bool IsPart(Rune rune) => Rune.GetUnicodeCategory(rune) is UnicodeCategory.UppercaseLetter
        or UnicodeCategory.LowercaseLetter or UnicodeCategory.TitlecaseLetter or UnicodeCategory.ModifierLetter
        or UnicodeCategory.OtherLetter or UnicodeCategory.DecimalDigitNumber or UnicodeCategory.LetterNumber
        or UnicodeCategory.OtherNumber or UnicodeCategory.NonSpacingMark or UnicodeCategory.SpacingCombiningMark
        or UnicodeCategory.EnclosingMark or UnicodeCategory.PrivateUse;
}
