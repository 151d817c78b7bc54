using Transformer.Configuration;
using Transformer.Tokenization;

namespace Transformer.Tests.Tokenization;

public sealed class LlamaTokenizerTests
{
    private static LlamaTokenizer Stories => TokenizerGoldens.Stories;

    [Fact]
    public void A_story_that_llama2c_generated_comes_back_to_the_byte()
    {
        var story = File.ReadAllText(TokenizerGoldens.PathOf("stories260k", "greedy_200_tokens.txt"));

        var ids = Stories.Encode(story);

        Assert.Equal(story, Stories.Decode([1, .. ids]));
        Assert.True(ids.Length <= 200, $"{ids.Length} tokens, but greedy merging should not need more than the 200 that were generated");
    }

    [Fact]
    public void Merging_is_what_llama2c_does_by_rescanning_the_whole_text()
    {
        foreach (var text in new[]
        {
            "Once upon a time, there was a little girl.", "aaaa aaa  aaaaa", "hehehe the thethe", " and\n\nanand", "é 中\t",
        })
        {
            Assert.Equal(Rescan(text), Stories.Encode(text));
        }
    }

    [Fact]
    public void A_character_that_the_vocabulary_lacks_is_spelt_as_its_bytes() =>
        Assert.Equal([0xE4 + 3, 0xB8 + 3, 0xAD + 3], Stories.Encode("中")[^3..]);

    [Fact]
    public void The_symbol_of_a_space_is_a_space() =>
        Assert.Equal(Stories.Encode("Once upon  a time"), Stories.Encode("Once\u2581upon \u2581a time"));

    [Fact]
    public void The_leading_space_goes_only_after_the_token_that_begins_a_text()
    {
        var ids = Stories.Encode("the");

        Assert.Equal(("the", " the"), (Stories.Decode([1, .. ids]), Stories.Decode(ids)));
    }

    [Fact]
    public void A_file_that_was_cut_short_is_refused()
    {
        var path = Path.GetTempFileName();
        File.WriteAllBytes(path, File.ReadAllBytes(TokenizerGoldens.PathOf("stories260k", "tok512.bin"))[..^3]);

        Assert.Contains(path, Assert.Throws<InputException>(() => LlamaTokenizer.FromLlama2C(path)).Message);
        File.Delete(path);
    }

    [Fact]
    public void A_piece_of_a_length_that_no_text_has_is_refused()
    {
        string[] pieces = [.. Stories.Pieces, new('a', 513)];
        Assert.Contains(
            "token 512 has 513 characters; expected 512 at most",
            Assert.Throws<InputException>(() => new LlamaTokenizer(pieces, new float[pieces.Length])).Message);
    }

    // Greedy merging as the definition has it: look at every pair, merge the best, begin again.
    private static List<int> Rescan(string text)
    {
        var ids = Enumerable.Range(0, 512).Where(id => id > 258).ToDictionary(id => Stories.Pieces[id], id => id);
        var symbols = new List<int>();
        foreach (var rune in (" " + text).EnumerateRunes())
        {
            if (ids.TryGetValue(rune.ToString(), out var id)) symbols.Add(id);
            else symbols.AddRange(System.Text.Encoding.UTF8.GetBytes(rune.ToString()).Select(value => value + 3));
        }
        while (true)
        {
            // The scores of this file fall with the id.
            var best = Enumerable.Range(0, symbols.Count - 1)
                .Select(
                    at => (At: at, Id: ids.GetValueOrDefault(Stories.Pieces[symbols[at]] + Stories.Pieces[symbols[at + 1]], int.MaxValue)))
                .DefaultIfEmpty((At: 0, Id: int.MaxValue)).MinBy(pair => pair.Id);
            if (best.Id == int.MaxValue) return symbols;
            symbols[best.At] = best.Id;
            symbols.RemoveAt(best.At + 1);
        }
    }
}
