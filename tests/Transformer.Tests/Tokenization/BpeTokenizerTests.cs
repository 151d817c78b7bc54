using Transformer.Configuration;
using Transformer.Tokenization;

namespace Transformer.Tests.Tokenization;

public sealed class BpeTokenizerTests
{
    public static TheoryData<string> CaseNames => [.. TokenizerGoldens.Cases.Select(golden => golden.Name)];

    [Theory, MemberData(nameof(CaseNames))]
    public void Pieces_and_ids_are_those_of_OpenAIs_encoder_and_decode_to_the_text(string name)
    {
        var golden = TokenizerGoldens.Cases.Single(golden => golden.Name == name);

        Assert.Equal(golden.Pieces, Pieces(golden.Text));
        Assert.Equal(golden.Ids, TokenizerGoldens.Gpt2Ordinary.Encode(golden.Text));
        Assert.Equal(golden.Text, TokenizerGoldens.Gpt2.Decode(golden.Ids));
    }

    [Fact]
    public void A_corpus_has_the_ids_of_OpenAIs_encoder()
    {
        var ids = TokenizerGoldens.Gpt2.Encode(TokenizerGoldens.Corpus);

        Assert.Equal(30854, ids.Length);
        Assert.Equal(TokenizerGoldens.CorpusIds(), ids.Select(id => (long)id));
    }

    [Fact]
    public void A_cut_never_changes_the_pieces()
    {
        var texts = TokenizerGoldens.Cases.Select(golden => golden.Text)
            .Append(string.Concat(TokenizerGoldens.Cases.Select(golden => golden.Text)));
        foreach (var text in texts)
        {
            var whole = Pieces(text);
            var cuts = Enumerable.Range(1, text.Length).Select(end => GptPieces.LastCut(text.AsSpan(0, end))).Distinct();
            Assert.All(cuts, cut => Assert.Equal(whole, Pieces(text[..cut]).Concat(Pieces(text[cut..]))));
        }
    }

    [Fact]
    public void Only_GPT2s_end_of_text_is_a_control_token() =>
        Assert.Equal(
            (null, 50256, 50257),
            (TokenizerGoldens.Gpt2.BeginOfText, TokenizerGoldens.Gpt2.EndOfText, TokenizerGoldens.Gpt2.VocabularySize));

    [Fact]
    public void A_text_may_name_the_end_of_text_of_GPT2s_files() =>
        Assert.Equal([19052, 50256, 8499, 220, 50256], TokenizerGoldens.Gpt2.Encode("before<|endoftext|>after <|endoftext|>"));

    [Fact]
    public void Merges_of_another_vocabulary_are_refused()
    {
        var bytes = Enumerable.Range(0, 256).ToDictionary(value => ByteSymbols.Write([(byte)value]), value => value);

        var error = Assert.Throws<InputException>(() => new BpeTokenizer(bytes, [("a", "b")]));

        Assert.Contains("merge 1, 'a b'", error.Message);
    }

    [Fact]
    public void Merges_that_are_not_UTF_8_are_refused()
    {
        using var folder = new TemporaryFolder();
        folder.Write("vocab.json", "{}");
        File.WriteAllBytes(folder["merges.txt"], [.. "a b\n"u8, 0xE9]);

        var error = Assert.Throws<InputException>(() => BpeTokenizer.FromFiles(folder["vocab.json"], folder["merges.txt"]));

        Assert.StartsWith($"{folder["merges.txt"]}: found bytes that are not UTF-8, expected the merges", error.Message);
    }

    [Fact]
    public void A_vocabulary_with_a_gap_is_refused()
    {
        var bytes = Enumerable.Range(0, 256).ToDictionary(value => ByteSymbols.Write([(byte)value]), value => value);
        bytes["a"] = 1000;

        Assert.Contains("1000", Assert.Throws<InputException>(() => new BpeTokenizer(bytes, [])).Message);
    }

    private static List<string> Pieces(string text)
    {
        var pieces = new List<string>();
        for (var rest = text.AsSpan(); !rest.IsEmpty; rest = rest[pieces[^1].Length..])
            pieces.Add(rest[..GptPieces.First(rest)].ToString());
        return pieces;
    }
}
