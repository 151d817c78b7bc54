using Transformer.Configuration;
using Transformer.Tokenization;

namespace Transformer.Tests.Tokenization;

public sealed class WordTokenizerTests
{
    private static readonly WordTokenizer Tokenizer = new(["0", "1", "10", "é", "|"]);

    [Fact]
    public void White_space_separates_words_and_a_single_space_joins_them()
    {
        Assert.Equal([2, 1, 4, 3], Tokenizer.Encode("  10 1\t|\né "));
        Assert.Equal("10 1 | é", Tokenizer.Decode([2, 1, 4, 3]));
        Assert.Empty(Tokenizer.Encode(" \n"));
    }

    [Fact]
    public void A_continued_text_begins_with_the_space_that_it_needs()
    {
        var stream = new StreamingDecoder(Tokenizer, previous: 4);
        Assert.Equal([" 1", " 0"], [stream.Append(1), stream.Append(0)]);
    }

    [Fact]
    public void A_long_text_read_in_pieces_has_the_ids_of_the_whole()
    {
        var text = string.Concat(Enumerable.Repeat("10 1 é | ", 40_000));
        Assert.Equal(Tokenizer.Encode(text), Tokenizer.Encode(new StringReader(text)).SelectMany(ids => ids).ToArray());
    }

    [Fact]
    public void A_saved_tokenizer_is_read_back_as_the_same()
    {
        using var folder = new TemporaryFolder();
        Tokenizer.Save(folder["tokenizer.json"]);
        var read = Assert.IsType<WordTokenizer>(Transformer.Tokenization.Tokenizer.Load(folder["tokenizer.json"]));
        Assert.Equal("10 1 | é", read.Decode(read.Encode("10 1 | é")));
        Assert.Equal([2, 1, 4, 3], read.Encode("10 1 | é"));
    }

    [Fact]
    public void Other_words_are_refused_and_so_are_lists_that_are_no_vocabulary()
    {
        Assert.Equal("the word '11' at position 3 is not among the 5 of this tokenizer, which are '0' to '|', separated by spaces",
            Assert.Throws<InputException>(() => Tokenizer.Encode("10 11 12")).Message);
        Assert.Throws<InputException>(() => new WordTokenizer([]));
        Assert.Throws<InputException>(() => new WordTokenizer(["a", "a"]));
        Assert.Throws<InputException>(() => new WordTokenizer(["a b"]));
        Assert.Throws<InputException>(() => new WordTokenizer([""]));
    }
}
