using Transformer.Configuration;
using Transformer.Data;
using Transformer.Runs;
using Transformer.Tests.Tokenization;

namespace Transformer.Tests.Data;

public sealed class CorpusTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void Tiny_Shakespeare_is_split_as_in_nanoGPT()
    {
        using var corpus = Corpus.Open(new() { Path = "builtin:tinyshakespeare" });

        Assert.Equal(
            (65, 1_003_854, 111_540, 111_540),
            (corpus.Tokenizer.VocabularySize, corpus.Training.Length, corpus.Validation.Length, corpus.ValidationBytes));
        Assert.Equal("First Citizen:", corpus.Tokenizer.Decode(Head(corpus.Training, 14)));
        Assert.Equal("?\n\nGREMIO:\n", corpus.Tokenizer.Decode(Head(corpus.Validation, 11)));
    }

    [Fact]
    public void The_split_counts_characters_and_not_bytes_or_surrogates()
    {
        var path = folder.Write("text.txt", "😀😀😀😀é😀中😀ab");
        using var corpus = Corpus.Open(new() { Path = path, ValidationFraction = 0.2 });

        Assert.Equal(("😀😀😀😀é😀中😀", "ab"), (Text(corpus, corpus.Training), Text(corpus, corpus.Validation)));
    }

    [Fact]
    public void A_second_text_validates_and_its_characters_are_known()
    {
        using var corpus = Corpus.Open(new() { Path = folder.Write("a.txt", "abc"), ValidationPath = folder.Write("b.txt", "xyé") });

        Assert.Equal(("abc", "xyé", 4), (Text(corpus, corpus.Training), Text(corpus, corpus.Validation), corpus.ValidationBytes));
    }

    public static TheoryData<string> Kinds => ["character", "byte", "bpe"];

    [Theory, MemberData(nameof(Kinds))]
    public void A_prepared_folder_is_the_same_corpus(string kind)
    {
        var config = new DataConfig
        {
            Path = TokenizerGoldens.PathOf("tokenizers", "bpe_training", "corpus.en"),
            Tokenizer = Kind(kind),
            ValidationFraction = 0.25
        };
        using var text = Corpus.Open(config);

        PreparedCorpus.Prepare(config, folder["prepared"]);
        using var prepared = Corpus.Open(new() { Path = folder["prepared"] });

        Assert.Equal((text.Checksum, text.ValidationBytes), (prepared.Checksum, prepared.ValidationBytes));
        Assert.Equal(Head(text.Training, text.Training.Length), Head(prepared.Training, prepared.Training.Length));
        Assert.Equal(Text(text, text.Validation), Text(prepared, prepared.Validation));
        Assert.Equal(["prepared"], folder.Names);
    }

    [Fact]
    public void Another_split_of_the_same_text_has_another_checksum()
    {
        var path = folder.Write("text.txt", new string('a', 100));
        using var tenth = Corpus.Open(new() { Path = path, ValidationFraction = 0.1 });
        using var fifth = Corpus.Open(new() { Path = path, ValidationFraction = 0.2 });

        Assert.NotEqual(tenth.Checksum, fifth.Checksum);
    }

    [Fact]
    public void A_text_that_is_not_UTF8_leaves_no_folder()
    {
        var path = folder.Write("wrong.txt", [0x61, 0xFF, 0x61]);

        Assert.Throws<InputException>(
            () => PreparedCorpus.Prepare(new() { Path = path, Tokenizer = new ByteTokenizerConfig() }, folder["prepared"]));

        Assert.Equal(["wrong.txt"], folder.Names);
    }

    [Fact]
    public void A_folder_with_something_in_it_is_not_overwritten()
    {
        Directory.CreateDirectory(folder["prepared"]);
        folder.Write("prepared/precious.txt", "kept");

        Assert.Throws<InputException>(() => PreparedCorpus.Prepare(new() { Path = "builtin:names" }, folder["prepared"]));

        Assert.Equal("kept", File.ReadAllText(folder["prepared/precious.txt"]));
    }

    [Fact]
    public void Files_of_two_corpora_do_not_pass_as_one()
    {
        PreparedCorpus.Prepare(new() { Path = folder.Write("a.txt", "aaaaaaaaaaaaaaaaaaaab") }, folder["a"]);
        PreparedCorpus.Prepare(new() { Path = folder.Write("b.txt", "aaaaaaaaaaaaaaaaaaaabcd") }, folder["b"]);
        File.Copy(folder["a/train.tokens"], folder["b/train.tokens"], overwrite: true);

        Assert.Contains("do not belong together", Assert.Throws<InputException>(() => Corpus.Open(new() { Path = folder["b"] })).Message);
    }

    [Fact]
    public void A_part_that_is_shorter_than_the_context_is_refused_with_its_length()
    {
        using var corpus = Corpus.Open(new() { Path = folder.Write("text.txt", new string('a', 100)) });

        corpus.RequireContext(9);
        Assert.Contains("validation part has 10 tokens", Assert.Throws<InputException>(() => corpus.RequireContext(10)).Message);
        Assert.Contains("training part has 90 tokens", Assert.Throws<InputException>(() => corpus.RequireContext(90)).Message);
    }

    private static TokenizerConfig Kind(string kind) => kind switch
    {
        "character" => new CharacterTokenizerConfig(),
        "byte" => new ByteTokenizerConfig(),
        _ => new BpeTokenizerConfig
        {
            Vocabulary = TokenizerGoldens.PathOf("gpt2", "vocab.json"),
            Merges = TokenizerGoldens.PathOf("gpt2", "merges.txt")
        },
    };

    private static string Text(Corpus corpus, TokenSequence tokens) => corpus.Tokenizer.Decode(Head(tokens, tokens.Length));

    private static int[] Head(TokenSequence tokens, long count)
    {
        var ids = new long[count];
        tokens.Read(0, ids);
        return Array.ConvertAll(ids, id => (int)id);
    }
}
