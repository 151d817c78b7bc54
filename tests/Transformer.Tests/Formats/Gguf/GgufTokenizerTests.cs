using Transformer.Configuration;
using Transformer.Formats;
using Transformer.Formats.Gguf;
using Transformer.Tokenization;

namespace Transformer.Tests.Formats.Gguf;

public sealed class GgufTokenizerTests
{
    private const string Text = "Once upon a time, there was 1 girl.\n She said:  \"I'll\\x41 go\"\t<b>é💡";

    [Fact]
    public void SentencePiece_comes_back() => AssertSame(GgufModelTests.Stories(), Text);

    [Fact]
    public void Byte_pairs_of_GPT_2_come_back() =>
        AssertSame(BpeTokenizer.FromFiles(Golden.PathOf("gpt2/vocab.json"), Golden.PathOf("gpt2/merges.txt")), Text);

    [Fact]
    public void Bytes_come_back() => AssertSame(new ByteTokenizer(), Text + "\0\r");

    [Fact]
    public void Characters_within_ASCII_come_back()
    {
        var ascii = Text[..^3];
        AssertSame(CharacterTokenizer.FromCorpus(new StringReader(ascii)), ascii);
    }

    [Fact]
    public void Tokens_that_the_model_has_beyond_the_tokenizers_are_filled_up_and_left_out_again()
    {
        var stories = GgufModelTests.Stories();
        var fields = GgufTokenizer.Write(stories, vocabulary: 520).ToDictionary();
        Assert.Equal(520, ((string[])fields["tokenizer.ggml.tokens"]).Length);
        Assert.Equal(512, GgufTokenizer.Read(new GgufFields(fields, "file"))!.VocabularySize);
    }

    [Fact]
    public void Added_tokens_begins_and_ends_come_back()
    {
        var read = TokenizerFolder.Read(Golden.PathOf("faults/added-tokens")).WithEnds(257, [258, 257, 256]);
        var again = GgufTokenizer.Read(new GgufFields(GgufTokenizer.Write(read, 260).ToDictionary(), "file"))!;
        Assert.Equal([257, 256, 259, 256, 258], again.Encode("<|im_start|>hi    hi<|im_end|>"));
        Assert.Equal((257, "258 257 256"), (again.BeginOfText, string.Join(' ', again.EndTokens)));
        Assert.Equal(
            read.AddedTokens.Select(token => (token.Id, token.Special)), again.AddedTokens.Select(token => (token.Id, token.Special)));
    }

    [Fact]
    public void What_GGUF_cannot_say_of_added_tokens_is_refused()
    {
        var read = TokenizerFolder.Read(Golden.PathOf("faults/added-tokens"));
        Assert.Contains("fields for 3", Assert.Throws<InputException>(() => Written(read.WithEnds(null, [1, 2, 3, 4]))).Message);
        var ignoring = TokenizerFolder.Read(Golden.PathOf("faults/tokenizer-fields/bpe-ignore"));
        Assert.Contains("ignore_merges", Assert.Throws<InputException>(() => Written(ignoring)).Message);

        static object Written(Tokenizer tokenizer) => GgufTokenizer.Write(tokenizer, tokenizer.VocabularySize).ToList();
    }

    // llama.cpp tries characters while it loads; one without a token ends the program.
    [Fact]
    public void A_small_alphabet_names_the_token_of_unknown_characters()
    {
        var fields = GgufTokenizer.Write(CharacterTokenizer.FromCorpus(new StringReader("012")), 3).ToDictionary();
        Assert.Equal(0u, fields["tokenizer.ggml.unknown_token_id"]);
        Assert.Equal([1, 1, 1], (int[])fields["tokenizer.ggml.token_type"]);
    }

    [Fact]
    public void Characters_beyond_ASCII_words_and_tokens_beyond_the_characters_are_refused_by_name()
    {
        Assert.Contains(
            "beyond ASCII",
            Assert.Throws<InputException>(() => GgufTokenizer.Write(CharacterTokenizer.FromCorpus(new StringReader("né")), 2)).Message);
        Assert.Contains(
            "the model has 14 tokens, its tokenizer 13",
            Assert.Throws<InputException>(() => GgufTokenizer.Write(GgufModelTests.Characters(13), 14)).Message);
        Assert.Contains(
            "WordTokenizer", Assert.Throws<InputException>(() => GgufTokenizer.Write(new WordTokenizer(["a", "b"]), 2)).Message);
    }

    [Theory]
    [InlineData("tokenizer.ggml.bos_token_id", 700u, "missing or no token")]
    [InlineData("tokenizer.ggml.unknown_token_id", 7u, "found 7, expected 0")]
    [InlineData("tokenizer.ggml.remove_extra_whitespaces", true, "does not know what it does")]
    [InlineData("tokenizer.ggml.add_eos_token", true, "found true, expected false")]
    [InlineData("tokenizer.ggml.add_space_prefix", false, "found False, expected True")]
    [InlineData("tokenizer.ggml.add_eos_token", 1u, "found 1, expected true or false")]
    [InlineData("tokenizer.ggml.scores", "none", "found the text none, expected an array of Single")]
    [InlineData("tokenizer.ggml.scores", new[] { 1f }, "1 elements, expected 512")]
    [InlineData("tokenizer.ggml.tokens", new[] { "<unk>" }, "512 elements, expected 1")]
    public void Fields_that_mean_another_tokenizer_are_refused(string key, object value, string problem)
    {
        var fields = GgufTokenizer.Write(GgufModelTests.Stories(), 512).ToDictionary();
        fields[key] = value;
        Assert.Contains(problem, Assert.Throws<InputException>(() => GgufTokenizer.Read(new GgufFields(fields, "file"))).Message);
    }

    private static void AssertSame(Tokenizer tokenizer, string text)
    {
        var again = GgufTokenizer.Read(new GgufFields(GgufTokenizer.Write(tokenizer, tokenizer.VocabularySize).ToDictionary(), "file"))!;
        Assert.Equal(tokenizer.GetType(), again.GetType());
        Assert.Equal(tokenizer.VocabularySize, again.VocabularySize);
        Assert.Equal((tokenizer.BeginOfText, tokenizer.EndOfText), (again.BeginOfText, again.EndOfText));
        Assert.Equal(tokenizer.Encode(text), again.Encode(text));
        Assert.Equal(text, again.Decode([.. again.BeginOfText is { } begin ? new[] { begin } : [], .. again.Encode(text)]));
    }
}
