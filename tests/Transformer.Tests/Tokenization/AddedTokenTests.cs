using System.Text.Json.Nodes;
using Transformer.Configuration;
using Transformer.Tokenization;

namespace Transformer.Tests.Tokenization;

/// <summary>Added tokens beside Hugging Face's tokenizers, whose numbers are in Goldens/tokenizers/added_tokens.json.</summary>
public sealed class AddedTokenTests : IDisposable
{
    private static readonly JsonNode Goldens =
        JsonNode.Parse(File.ReadAllBytes(TokenizerGoldens.PathOf("tokenizers", "added_tokens.json")))!;

    private readonly TemporaryFolder folder = new();

    public static TheoryData<string, int> Variants =>
        [.. new[] { "bpe", "llama" }.SelectMany(kind =>
            Enumerable.Range(0, Goldens[kind]!["variants"]!.AsArray().Count).Select(number => (kind, number)))];

    public void Dispose() => folder.Dispose();

    [Theory, MemberData(nameof(Variants))]
    public void Texts_have_the_tokens_of_Hugging_Faces_tokenizers(string kind, int number)
    {
        var tokenizer = Variant(kind, number);
        foreach (var (text, ids) in Cases(kind, number))
            Assert.Equal((text, string.Join(' ', ids)), (text, string.Join(' ', tokenizer.Encode(text))));
    }

    [Theory, MemberData(nameof(Variants))]
    public void A_saved_tokenizer_has_the_same_tokens(string kind, int number)
    {
        var tokenizer = Variant(kind, number);
        tokenizer.Save(folder["saved.json"]);
        var read = Tokenizer.Load(folder["saved.json"]);
        Assert.Equal(tokenizer.AddedTokens, read.AddedTokens);
        foreach (var (text, ids) in Cases(kind, number)) Assert.Equal(ids, read.Encode(text));
    }

    [Theory, MemberData(nameof(Variants))]
    public void A_long_text_read_in_pieces_has_the_tokens_of_the_whole(string kind, int number)
    {
        var tokenizer = Variant(kind, number);
        var random = new Random(3);
        var texts = Cases(kind, number).Select(golden => golden.Text).ToArray();
        var text = string.Concat(Enumerable.Range(0, 30_000).Select(_ => texts[random.Next(texts.Length)]));
        Assert.True(text.Length > 3 << 16);
        Assert.Equal(tokenizer.Encode(text), tokenizer.Encode(new StringReader(text)).SelectMany(ids => ids).ToArray());
    }

    [Fact]
    public void Their_contents_are_their_text()
    {
        var tokenizer = Variant("bpe", 0);
        Assert.Equal("<|im_start|>hi    hi<|im_end|>", tokenizer.Decode([257, 256, 259, 256, 258]));
    }

    [Theory]
    [InlineData("""{"id": 257, "content": ""}""", "has no content")]
    [InlineData("""{"id": 258, "content": "x"}""", "'x' has id 258, but is token 120 of the vocabulary")]
    [InlineData("""{"id": 300, "content": "xyz"}""", "'xyz' has id 300")]
    [InlineData("""{"id": 257, "content": "xyz", "regex": true}""", "added_tokens.regex")]
    public void What_is_no_token_is_refused(string token, string problem) =>
        Assert.Contains(problem, Assert.Throws<InputException>(() => Load("bpe", new JsonArray(JsonNode.Parse(token)))).Message);

    private static IEnumerable<(string Text, int[] Ids)> Cases(string kind, int number) =>
        Goldens[kind]!["variants"]![number]!["cases"]!.AsArray()
            .Select(golden => ((string)golden![0]!, golden[1]!.AsArray().Select(id => (int)id!).ToArray()));

    private Tokenizer Variant(string kind, int number) =>
        Load(kind, Goldens[kind]!["variants"]![number]!["added_tokens"]!.DeepClone());

    private Tokenizer Load(string kind, JsonNode added)
    {
        var file = Goldens[kind]!["tokenizer"]!.DeepClone();
        file["added_tokens"] = added;
        return Tokenizer.Load(folder.Write("tokenizer.json", file.ToJsonString()));
    }
}
