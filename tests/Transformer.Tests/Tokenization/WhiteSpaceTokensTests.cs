using System.Text;
using System.Text.Json.Nodes;
using Transformer.Configuration;
using Transformer.Tokenization;

namespace Transformer.Tests.Tokenization;

public sealed class WhiteSpaceTokensTests
{
    private static readonly JsonNode Published = JsonNode.Parse(File.ReadAllText(Golden.PathOf("hierarchy/boundaries.json")))!;

    public static TheoryData<string> Tokenizers => ["character", "byte"];

    [Theory, MemberData(nameof(Tokenizers))]
    public void Boundaries_of_a_text_are_the_published_ones(string kind)
    {
        Tokenizer tokenizer = kind == "byte"
            ? new ByteTokenizer()
            : new CharacterTokenizer([.. Published["alphabet"]!.GetValue<string>().EnumerateRunes()]);
        var ends = WhiteSpaceTokens.Of(tokenizer).ToHashSet();
        for (var row = 0; row < 2; row++)
        {
            var ids = tokenizer.Encode(Published["text"]![row]!.GetValue<string>());
            if (kind == "character") Assert.Equal(Numbers("ids", row), ids);
            Assert.Equal(Numbers("white_space", row), ids.Select(id => ends.Contains(id) ? 1 : 0));
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(5)]
    public void Groups_of_equal_length_end_where_fixed_boundaries_are_published(int shorten)
    {
        var hourglass = new HourglassConfig { Shorten = shorten, Layers = 1 };
        var published = Numbers($"every_{shorten}", row: 0);
        Assert.Equal(published, Enumerable.Range(0, published.Length).Select(t => hourglass.Groups(t + 1) - hourglass.Groups(t)));
    }

    [Fact]
    public void A_model_takes_those_of_its_tokenizer_wherever_none_are_given()
    {
        var given = new WhiteSpaceBoundariesConfig { Tokens = [3] };
        var model = WhiteSpaceTokens.Resolve(
            Tiny.Config with
            {
                Layers =
                [
                    new HourglassConfig { Boundaries = new WhiteSpaceBoundariesConfig(), Layers = 1 },
                    new HourglassConfig { Boundaries = given, Layers = 1 },
                    new HourglassConfig { Shorten = 2, Layers = 1 },
                    1,
                ]
            },
            new CharacterTokenizer([.. "a b\n".EnumerateRunes()]));
        Assert.Equal([1, 3], Assert.IsType<WhiteSpaceBoundariesConfig>(model.Layers[0].Hourglass!.Boundaries).Tokens);
        Assert.Equal(given, model.Layers[1].Hourglass!.Boundaries);
        Assert.Equal(Tiny.Config.Layers.Blocks + 2, model.Layers.Blocks);
    }

    [Fact]
    public void A_tokenizer_without_white_space_is_refused()
    {
        var model = Tiny.Config with { Layers = [new HourglassConfig { Boundaries = new WhiteSpaceBoundariesConfig(), Layers = 1 }] };
        var error = Assert.Throws<InputException>(() => WhiteSpaceTokens.Resolve(model, new CharacterTokenizer([new Rune('a')])));
        Assert.StartsWith("model.layers: boundaries of white space, but the tokenizer has no token with any.", error.Message);
    }

    private static int[] Numbers(string key, int row) => [.. Published[key]![row]!.AsArray().Select(number => (int)number!)];
}
