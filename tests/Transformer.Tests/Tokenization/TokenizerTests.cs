using System.Text;
using Transformer.Configuration;
using Transformer.Tokenization;

namespace Transformer.Tests.Tokenization;

/// <summary>The contract of every tokenizer.</summary>
public sealed class TokenizerTests
{
    private static readonly string Text = string.Concat(
        TokenizerGoldens.Cases.Select(golden => golden.Text.Replace('\uFFFD', '?') + "\r\n"));

    public static TheoryData<string> Kinds => ["character", "byte", "bpe", "llama"];

    [Theory, MemberData(nameof(Kinds))]
    public void A_text_comes_back(string kind)
    {
        var tokenizer = Make(kind);

        Assert.Equal(Text, tokenizer.Decode(WithBegin(tokenizer, tokenizer.Encode(Text))));
    }

    [Theory, MemberData(nameof(Kinds))]
    public void A_saved_tokenizer_is_read_back_as_the_same(string kind)
    {
        var tokenizer = Make(kind);
        var path = Path.Combine(Directory.CreateTempSubdirectory().FullName, "tokenizer.json");

        tokenizer.Save(path);
        var read = Tokenizer.Load(path);

        Assert.Equal(tokenizer.GetType(), read.GetType());
        Assert.Equal(
            (tokenizer.VocabularySize, tokenizer.BeginOfText, tokenizer.EndOfText),
            (read.VocabularySize, read.BeginOfText, read.EndOfText));
        Assert.Equal(tokenizer.Encode(Text), read.Encode(Text));
        Assert.All(Enumerable.Range(0, read.VocabularySize), id => Assert.Equal(tokenizer.BytesOf(id), read.BytesOf(id)));
        Directory.Delete(Path.GetDirectoryName(path)!, recursive: true);
    }

    [Theory, MemberData(nameof(Kinds))]
    public void A_long_text_read_in_pieces_has_the_ids_of_the_whole(string kind)
    {
        var tokenizer = Make(kind);
        var text = string.Concat(Enumerable.Repeat(Text, 200_000 / Text.Length));

        Assert.Equal(tokenizer.Encode(text), tokenizer.Encode(new StringReader(text)).SelectMany(ids => ids).ToArray());
    }

    [Theory, MemberData(nameof(Kinds))]
    public void Streaming_gives_the_whole_text_and_never_half_a_character(string kind)
    {
        var tokenizer = Make(kind);
        var ids = WithBegin(tokenizer, tokenizer.Encode(Text));
        var (stream, streamed) = (new StreamingDecoder(tokenizer), new StringBuilder());
        foreach (var id in ids)
        {
            var part = stream.Append(id);
            Assert.DoesNotContain('\uFFFD', part);
            Assert.False(part.Length > 0 && (char.IsLowSurrogate(part[0]) || char.IsHighSurrogate(part[^1])), $"half a character: {part}");
            streamed.Append(part);
        }

        Assert.Equal(Text, streamed.Append(stream.Flush()).ToString());
    }

    [Fact]
    public void Streaming_random_bytes_gives_what_decoding_them_at_once_gives()
    {
        var random = new Random(1);
        var tokenizer = new ByteTokenizer();
        for (var round = 0; round < 200; round++)
        {
            var ids = Enumerable.Range(0, 20).Select(_ => random.Next(2) == 0 ? random.Next(256) : random.Next(0xE0, 0xF5)).ToArray();
            var stream = new StreamingDecoder(tokenizer);

            Assert.Equal(tokenizer.Decode(ids), string.Concat(ids.Select(stream.Append)) + stream.Flush());
        }
    }

    [Fact]
    public void An_unfinished_character_shows_only_when_the_stream_ends()
    {
        var stream = new StreamingDecoder(new ByteTokenizer());

        Assert.Equal(("", "", "\uFFFD"), (stream.Append(0xE4), stream.Append(0xB8), stream.Flush()));
    }

    [Theory, MemberData(nameof(Kinds))]
    public void An_id_outside_the_vocabulary_is_refused(string kind)
    {
        var tokenizer = Make(kind);

        Assert.Throws<InputException>(() => tokenizer.Decode([tokenizer.VocabularySize]));
        Assert.Throws<InputException>(() => tokenizer.Decode([-1]));
    }

    [Fact]
    public void Characters_that_the_tokenizer_lacks_are_named_with_their_positions()
    {
        var tokenizer = CharacterTokenizer.FromCorpus(new StringReader("abc"));

        var error = Assert.Throws<InputException>(() => tokenizer.Encode("abéc\0"));

        Assert.Contains("'é' (U+00E9) at position 2, U+0000 at position 4", error.Message);
    }

    [Fact]
    public void Positions_count_from_the_start_of_a_text_read_in_pieces()
    {
        var tokenizer = CharacterTokenizer.FromCorpus(new StringReader("abc"));
        var text = new string('a', 100_000) + "z";

        Assert.Contains(
            "at position 100000", Assert.Throws<InputException>(() => tokenizer.Encode(new StringReader(text)).Count()).Message);
    }

    [Fact]
    public void Characters_are_in_code_point_order() =>
        Assert.Equal("\na\uFFFD😀", CharacterTokenizer.FromCorpus(new StringReader("😀a\uFFFDa\n")).Decode([0, 1, 2, 3]));

    [Theory]
    [InlineData("")]
    [InlineData("[]")]
    [InlineData("null")]
    [InlineData("{}")]
    [InlineData("""{"model": {"type": "Unigram", "vocab": {}}}""")]
    [InlineData("""{"model": {"type": "WordLevel", "vocab": {"a": 0, "b": 7}}, "pre_tokenizer": {"type": "Split"}}""")]
    [InlineData("""{"model": {"type": "WordLevel", "vocab": {"ab": 0}}, "pre_tokenizer": {"type": "Split"}}""")]
    [InlineData("""{"model": {"type": "WordLevel", "vocab": {"a": "x"}}, "pre_tokenizer": {"type": "Split"}}""")]
    [InlineData(
        """{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}, """ +
        """ "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false}}""")]
    public void A_damaged_or_unknown_file_is_refused_by_name(string json)
    {
        var path = Path.GetTempFileName();
        File.WriteAllText(path, json);

        Assert.Contains(path, Assert.Throws<InputException>(() => Tokenizer.Load(path)).Message);
        File.Delete(path);
    }

    private static Tokenizer Make(string kind) => kind switch
    {
        "character" => Tokenizer.FromConfig(new CharacterTokenizerConfig(), () => new StringReader(Text)),
        "byte" => Tokenizer.FromConfig(new ByteTokenizerConfig(), () => TextReader.Null),
        "bpe" => TokenizerGoldens.Gpt2,
        _ => TokenizerGoldens.Stories,
    };

    private static int[] WithBegin(Tokenizer tokenizer, int[] ids) => tokenizer.BeginOfText is { } begin ? [begin, .. ids] : ids;
}
