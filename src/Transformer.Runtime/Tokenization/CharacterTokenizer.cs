using System.Text;
using Transformer.Configuration;

namespace Transformer.Tokenization;

/// <summary>One token per Unicode character (code point) of the corpus, in code-point order.</summary>
public sealed class CharacterTokenizer : Tokenizer
{
    private const int MostNamed = 5;
    private readonly Dictionary<Rune, int> ids = [];

    /// <param name="characters">The vocabulary: character i has id i.</param>
    /// <exception cref="InputException">A character occurs twice, or there is none.</exception>
    public CharacterTokenizer(IReadOnlyList<Rune> characters)
        : base([.. characters.Select(character => Encoding.UTF8.GetBytes(character.ToString()))])
    {
        if (characters.Count == 0) throw new InputException("a character tokenizer needs at least one character; the text is empty");
        foreach (var character in characters)
        {
            if (!ids.TryAdd(character, ids.Count))
                throw new InputException($"the character {Name(character)} occurs twice in the vocabulary");
        }
    }

    /// <summary>The tokenizer of a corpus: the distinct characters of its texts, sorted.</summary>
    /// <param name="texts">The texts; each is disposed when it has been read.</param>
    /// <exception cref="InputException">The corpus is empty.</exception>
    public static CharacterTokenizer FromCorpus(params IEnumerable<TextReader> texts)
    {
        var seen = new HashSet<Rune>();
        foreach (var text in texts)
        {
            using (text) AddCharacters(text, seen);
        }
        return new([.. seen.Order()]);
    }

    private protected override void Encode(ReadOnlySpan<char> text, long position, List<int> result)
    {
        var (at, missing) = (position, new List<string>());
        foreach (var character in text.EnumerateRunes())
        {
            if (ids.TryGetValue(character, out var id)) result.Add(id);
            else if (missing.Count < MostNamed) missing.Add($"{Name(character)} at position {at}");
            at += character.Utf16SequenceLength;
        }
        if (missing.Count > 0)
        {
            throw new InputException(
                $"the text has characters that are not among the {VocabularySize} of this tokenizer: {string.Join(", ", missing)}\n" +
                "  Leave them out, or train with data.tokenizer.kind byte, which can encode every text.");
        }
    }

    private protected override int LastCut(ReadOnlySpan<char> text) => char.IsHighSurrogate(text[^1]) ? text.Length - 1 : text.Length;

    private static void AddCharacters(TextReader text, HashSet<Rune> seen)
    {
        var buffer = new char[1 << 16];
        var held = 0;
        for (int read; (read = text.ReadBlock(buffer, held, buffer.Length - held)) > 0;)
        {
            // The buffer's end may cut a surrogate pair: its first half is kept for the next round.
            var part = buffer.AsSpan(0, held + read);
            held = part.Length == buffer.Length && char.IsHighSurrogate(part[^1]) ? 1 : 0;
            foreach (var character in part[..^held].EnumerateRunes()) seen.Add(character);
            part[^held..].CopyTo(buffer);
        }
    }

    private static string Name(Rune character) =>
        Rune.IsControl(character) ? $"U+{character.Value:X4}" : $"'{character}' (U+{character.Value:X4})";
}
