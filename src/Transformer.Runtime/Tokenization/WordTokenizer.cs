using System.Text;
using Transformer.Configuration;

namespace Transformer.Tokenization;

/// <summary>
/// One token per word of a fixed list; white space separates words. Tokens are decoded with a space between them.
/// </summary>
public sealed class WordTokenizer : Tokenizer
{
    private readonly Dictionary<string, int> ids = [];
    private readonly byte[][] spaced;

    /// <param name="words">The vocabulary: word i has id i.</param>
    /// <exception cref="InputException">There is no word, one stands twice, is empty or has white space in it.</exception>
    public WordTokenizer(IReadOnlyList<string> words) : base([.. words.Select(Encoding.UTF8.GetBytes)])
    {
        if (words.Count == 0) throw new InputException("a word tokenizer needs at least one word");
        foreach (var word in words)
        {
            if (word.Length == 0 || word.Any(char.IsWhiteSpace))
                throw new InputException($"the word '{word}' is empty or has white space in it");
            if (!ids.TryAdd(word, ids.Count)) throw new InputException($"the word '{word}' occurs twice in the vocabulary");
        }
        spaced = [.. words.Select(word => Encoding.UTF8.GetBytes($" {word}"))];
    }

    internal override ReadOnlySpan<byte> BytesOf(int id, int? previous) =>
        previous is null || (uint)id >= (uint)spaced.Length ? BytesOf(id) : spaced[id];

    private protected override void Encode(ReadOnlySpan<char> text, long position, List<int> result)
    {
        for (var end = 0; end < text.Length; end++)
        {
            var start = end;
            while (end < text.Length && !char.IsWhiteSpace(text[end])) end++;
            var word = text[start..end];
            if (word.IsEmpty) continue;
            result.Add(ids.GetAlternateLookup<ReadOnlySpan<char>>().TryGetValue(word, out var id)
                ? id
                : throw new InputException(
                    $"the word '{word}' at position {position + start} is not among the {VocabularySize} of this tokenizer, which are " +
                    $"'{Decode([0])}' to '{Decode([VocabularySize - 1])}', separated by spaces"));
        }
    }

    // After the last white space: the word there may continue.
    private protected override int LastCut(ReadOnlySpan<char> text)
    {
        var cut = text.Length;
        while (cut > 0 && !char.IsWhiteSpace(text[cut - 1])) cut--;
        return cut;
    }
}
