using System.Text.Json;
using System.Text.RegularExpressions;
using Transformer.Configuration;
using Transformer.Generation;
using Transformer.Generation.Constraints;
using Transformer.Inference.Cpu;
using Transformer.Inference.Torch;
using Transformer.Model;
using Transformer.Onnx;
using Transformer.Tokenization;

namespace Transformer.Tests.Generation.Constraints;

/// <summary>Models with random weights, which know nothing of the constraint.</summary>
public sealed class ConstrainedGenerationTests
{
    private const int Rows = 6;

    private static readonly Dictionary<string, string> Patterns = new()
    {
        ["byte"] = @"[a-zé€😀]{2,6}(, ?\d{1,3}){0,3}[.!]",
        ["character"] = @"[a-zé€😀]{2,6}(, ?\d{1,3}){0,3}\.",
        ["GPT-2"] = @" ?(Yes|No|[Ѐ-ӿ]{1,5})(, [a-z]{3,12}){1,3}\.",
        ["Llama"] = @"(Once|Lily|[A-Z]é) ([a-z]{2,8} ){1,4}end",
        ["word"] = " (yes|no)( , (yes|no|never)){1,3} \\.",
    };

    public static TheoryData<string> Kinds => [.. TokenMasksTests.Tokenizers.Keys];

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Every_text_matches_the_pattern_and_ends_by_itself(string kind)
    {
        var (tokenizer, pattern) = (TokenMasksTests.Tokenizers[kind], Patterns[kind]);
        using var model = Model(tokenizer);
        using var kernels = ModelInference.Of(model);
        foreach (var temperature in (double[])[0, 0.7, 3])
        {
            var results = Generate(
                new(kernels, tokenizer), tokenizer,
                new() { Temperature = temperature, Seed = 5, MaxTokens = 120, Constraint = TextConstraint.Regex(pattern) });
            Assert.All(results, result => Assert.True(FullMatch(pattern, result.Text), $"'{result.Text}'"));
            Assert.All(results, result => Assert.Equal(FinishReason.EndOfText, result.FinishReason));
            Assert.All(
                results, result =>
                    Assert.DoesNotContain(result.Tokens, token => token == tokenizer.EndOfText || token == tokenizer.BeginOfText));
            if (temperature == 3) Assert.True(results.Select(result => result.Text).Distinct().Count() > 1, "all rows write the same");
        }
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Every_text_is_JSON_and_valid_by_the_schema(string kind)
    {
        var schema = kind == "word"
            ? """
              {"type": "object", "required": ["a"],
               "properties": {"a": {"enum": [true, 1]}, "b": {"type": "array", "items": {"const": true}, "maxItems": 2}}}
              """
            : """
              {"type": "object", "properties": {"a": {"type": "string", "pattern": "^[a-z]{1,4}$"}, "ab": {"type": "boolean"},
               "b": {"anyOf": [{"type": "null"},
                               {"type": "array", "items": {"enum": [1, "ab", {"a": [2]}]}, "minItems": 1, "maxItems": 3}]},
               "c": {"type": "string", "maxLength": 5}}, "required": ["a", "b"]}
              """;
        var tokenizer = TokenMasksTests.Tokenizers[kind];
        using var model = Model(tokenizer);
        using var kernels = ModelInference.Of(model);
        var judge = Json.Schema.JsonSchema.FromText(schema);
        var results = Generate(
            new(kernels, tokenizer), tokenizer,
            new() { Temperature = 2, Seed = 5, MaxTokens = 200, Constraint = TextConstraint.JsonSchema(schema) });
        foreach (var result in results)
        {
            using var json = JsonDocument.Parse(result.Text);
            Assert.True(judge.Evaluate(json.RootElement).IsValid, result.Text);
            Assert.Equal(FinishReason.EndOfText, result.FinishReason);
        }
    }

    [Fact]
    public void The_engine_libtorch_and_ONNX_Runtime_write_the_same()
    {
        using var folder = new TemporaryFolder();
        var tokenizer = TokenMasksTests.Tokenizers["byte"];
        using var model = Model(tokenizer);
        using var kernels = ModelInference.Of(model);
        using var libtorch = new TorchInferenceModel(model);
        OnnxFolder.Write(folder["onnx"], model.Config, model.Weights, tokenizer);
        using var onnx = OnnxInferenceModel.Open(folder["onnx"]);
        var options =
            new SamplingOptions { Temperature = 1, Seed = 5, MaxTokens = 60, Constraint = TextConstraint.Regex(Patterns["byte"]) };

        var engine = Generate(new(kernels, tokenizer), tokenizer, options).Select(result => result.Text);
        Assert.Equal(engine, Generate(new(libtorch, tokenizer), tokenizer, options).Select(result => result.Text));
        Assert.Equal(engine, Generate(new(onnx, tokenizer), tokenizer, options).Select(result => result.Text));
    }

    [Fact]
    public void A_row_writes_in_a_batch_what_it_writes_alone()
    {
        var tokenizer = TokenMasksTests.Tokenizers["byte"];
        using var model = Model(tokenizer);
        using var kernels = ModelInference.Of(model);
        var options = SamplingOptions.Greedy with { MaxTokens = 60, Constraint = TextConstraint.Regex(Patterns["byte"]) };
        string[] prompts = ["a", "Some more", "x y z", "!"];
        var together = new TextGenerator(kernels, tokenizer)
            .GenerateText(prompts, options, cancellation: TestContext.Current.CancellationToken);
        for (var row = 0; row < prompts.Length; row++)
            Assert.Equal(new TextGenerator(kernels, tokenizer)
                .GenerateText([prompts[row]], options, cancellation: TestContext.Current.CancellationToken)[0].Tokens,
                together[row].Tokens);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1.5)]
    public void Draft_tokens_change_no_token(double temperature)
    {
        var tokenizer = TokenMasksTests.Tokenizers["byte"];
        using var model = Model(tokenizer);
        using var engine = CpuInferenceModel.TryCreate(model)!;
        var options = new SamplingOptions
        {
            Temperature = temperature,
            Seed = 5,
            MaxTokens = 100,
            Constraint = TextConstraint.Regex(
            "((ab|ba)[0-9]{2}-){4,20}")
        };
        var plain = Generate(new(engine, tokenizer), "ab12-ab12-ab", options);
        Assert.Equal(plain.Tokens, Generate(new(engine, tokenizer) { DraftTokens = 4 }, "ab12-ab12-ab", options).Tokens);
        Assert.Matches(@"^(?:(ab|ba)[0-9]{2}-){4,20}", plain.Text);
    }

    [Fact]
    public void A_text_that_may_be_nothing_alone_is_nothing()
    {
        var tokenizer = TokenMasksTests.Tokenizers["byte"];
        using var model = Model(tokenizer);
        using var kernels = ModelInference.Of(model);
        var result = Generate(new(kernels, tokenizer), "a", new() { Constraint = TextConstraint.Regex("") });
        Assert.Equal(("", FinishReason.EndOfText), (result.Text, result.FinishReason));
        Assert.Empty(result.Tokens);
    }

    // Where more could follow, only the end-of-text token ends the text; without one it goes on.
    [Theory]
    [InlineData("Llama", true)]
    [InlineData("byte", false)]
    public void A_text_to_which_more_could_be_added_ends_with_the_model_s_own_end(string kind, bool ends)
    {
        var tokenizer = TokenMasksTests.Tokenizers[kind];
        using var model = Model(tokenizer);
        using var kernels = ModelInference.Of(model);
        var results = Generate(
            new(kernels, tokenizer), tokenizer,
            new() { Temperature = 5, Seed = 5, MaxTokens = 250, Constraint = TextConstraint.Regex("(ab)*") });
        Assert.All(results, result => Assert.Matches("^(ab)*a?$", result.Text));
        Assert.Equal(ends, results.All(result => result.FinishReason == FinishReason.EndOfText && result.Text.Length % 2 == 0));
        if (!ends) Assert.All(results, result => Assert.Equal(FinishReason.MaxTokens, result.FinishReason));
    }

    [Fact]
    public void A_text_that_is_cut_is_the_beginning_of_one_that_matches()
    {
        var tokenizer = TokenMasksTests.Tokenizers["byte"];
        using var model = Model(tokenizer);
        using var kernels = ModelInference.Of(model);
        var result = Generate(new(kernels, tokenizer), "a", new() { MaxTokens = 5, Constraint = TextConstraint.Regex("[a-z]{10}") });
        Assert.Matches("^[a-z]{5}$", result.Text);
        Assert.Equal(FinishReason.MaxTokens, result.FinishReason);
    }

    [Fact]
    public void A_generator_without_a_tokenizer_cannot_be_constrained()
    {
        using var model = Model(TokenMasksTests.Tokenizers["byte"]);
        using var kernels = ModelInference.Of(model);
        Assert.Contains("needs a tokenizer", Assert.Throws<InputException>(() => new TextGenerator(kernels).Generate(
            [[1]], new SamplingOptions { Constraint = TextConstraint.Regex("a") },
            cancellation: TestContext.Current.CancellationToken)).Message);
    }

    private static TransformerModel Model(Tokenizer tokenizer) => GenerationGoldens.Random(
        new ModelConfig
        {
            Width = 16,
            ContextLength = 32,
            Layers = 1,
            VocabularySize = tokenizer.VocabularySize + 3,
            Attention = GenerationGoldens.FourHeads
        });

    private static bool FullMatch(string pattern, string text)
    {
        // .NET counts a character above U+FFFF as two.
        var (twoUnits, one) = ("😀", "\u0001");
        return Regex.IsMatch(text.Replace(twoUnits, one), $@"\A(?:{pattern.Replace(twoUnits, one)})\z", RegexOptions.ECMAScript);
    }

    private static IReadOnlyList<GeneratedText> Generate(TextGenerator generator, Tokenizer tokenizer, SamplingOptions options) =>
        generator.GenerateText([.. Enumerable.Repeat(tokenizer is WordTokenizer ? "yes no" : "a", Rows / 2), .. Enumerable.Repeat(
            tokenizer is LlamaTokenizer ? "" : tokenizer is WordTokenizer ? "no" : "{ b",
            Rows / 2)], options, cancellation: TestContext.Current.CancellationToken);

    private static GeneratedText Generate(TextGenerator generator, string prompt, SamplingOptions options) =>
        generator.GenerateText([prompt], options, cancellation: TestContext.Current.CancellationToken)[0];
}
