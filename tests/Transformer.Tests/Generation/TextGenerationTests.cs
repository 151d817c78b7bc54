using TorchSharp;
using Transformer.Configuration;
using Transformer.Formats;
using Transformer.Generation;
using Transformer.Inference.Torch;
using Transformer.Tokenization;

namespace Transformer.Tests.Generation;

/// <summary>Whole texts by the smallest published model that writes English, karpathy's stories260K.</summary>
public sealed class TextGenerationTests : IDisposable
{
    private static readonly string Story = File.ReadAllText(GenerationGoldens.PathOf("stories260k", "greedy_200_tokens.txt"));
    private static readonly SamplingOptions Greedy = SamplingOptions.Greedy;
    private readonly TemporaryFolder folder = new();
    private readonly LoadedModel stories;

    public TextGenerationTests()
    {
        using var imported = ModelImport.Import(GenerationGoldens.PathOf("stories260k", "stories260K.bin"));
        var tokenizer = LlamaTokenizer.FromLlama2C(GenerationGoldens.PathOf("stories260k", "tok512.bin"));
        CheckpointFolder.Save(folder["stories"], imported.Model, imported.Tensors.Values, tokenizer);
        stories = LoadedModel.Open(folder["stories"]);
    }

    public void Dispose()
    {
        stories.Dispose();
        folder.Dispose();
    }

    [Fact]
    public void The_story_of_200_greedy_tokens_is_to_the_byte_what_llama2c_writes()
    {
        var cached = Assert.Single(Generate([""], Greedy with { MaxTokens = 200 }));
        var plain = GenerationGoldens.WithoutCache(stories.Model, [stories.Tokenizer.BeginOfText!.Value], count: 200);

        Assert.Equal(Story, cached.Text);
        Assert.Equal(plain, cached.Tokens);
    }

    [Fact]
    public void Text_comes_in_pieces_that_make_the_whole()
    {
        var pieces = new List<string>();

        var result = Assert.Single(Generate([""], Greedy with { MaxTokens = 50 }, (_, text) => pieces.Add(text)));

        Assert.Equal(result.Text, string.Concat(pieces));
        Assert.InRange(pieces.Count, 40, 50);
    }

    [Fact]
    public void A_prompt_is_continued_where_it_ends()
    {
        const string Prompt = "Once upon a time, there was a little girl";

        var result = Assert.Single(Generate([Prompt], Greedy with { MaxTokens = 20 }));

        Assert.StartsWith(" named Lily.", result.Text);
        Assert.StartsWith(Prompt + result.Text, Story);
    }

    [Theory]
    [InlineData("Lily")]
    [InlineData("ily. She lov")]    // begins and ends inside of tokens
    [InlineData(" outside in the park. One")]
    public void Text_ends_before_a_stop_string_also_across_tokens(string stop)
    {
        var written = "";

        var result = Assert.Single(Generate([""], Greedy with { Stop = ["never", stop] }, (_, text) => written += text));

        Assert.Equal(Story[..Story.IndexOf(stop, StringComparison.Ordinal)], result.Text);
        Assert.Equal(result.Text, written);
        Assert.Equal(FinishReason.StopString, result.FinishReason);
    }

    [Fact]
    public void A_stop_string_that_is_only_begun_is_text()
    {
        var whole = Assert.Single(Generate([""], Greedy with { MaxTokens = 12 })).Text;

        var result = Assert.Single(Generate([""], Greedy with { MaxTokens = 12, Stop = [whole[^3..] + "#"] }));

        Assert.Equal((whole, FinishReason.MaxTokens), (result.Text, result.FinishReason));
    }

    [Fact]
    public void A_row_that_stopped_leaves_the_others_as_they_are()
    {
        var results = Generate(["", "The cat"], Greedy with { MaxTokens = 30, Stop = ["Once upon"] });

        Assert.Equal(("", FinishReason.StopString), (results[0].Text, results[0].FinishReason));
        Assert.Equal(Generate(["The cat"], Greedy with { MaxTokens = 30 })[0].Text, results[1].Text);
    }

    [Fact]
    public void The_model_ends_a_text_with_the_token_that_begins_the_next()
    {
        var result = Assert.Single(Generate([""], Greedy with { MaxTokens = 511 }));

        Assert.Equal(FinishReason.EndOfText, result.FinishReason);
        Assert.DoesNotContain(stories.Tokenizer.BeginOfText!.Value, result.Tokens);
        Assert.Equal(stories.Tokenizer.Decode([1, .. result.Tokens]), result.Text);
    }

    [Fact]
    public void No_tensor_stays_behind()
    {
        Generate([""], Greedy with { MaxTokens = 2 });
        var before = Live();

        Generate(["", "The cat", "Tom"], new SamplingOptions { MaxTokens = 20, TopK = 5 });

        Assert.Equal(0, Live() - before);

        static long Live() => DisposeScopeManager.Statistics.TensorStatistics.ThreadTotalLiveCount;    // other tests run beside
    }

    [Fact]
    public void Characters_of_several_tokens_come_whole()
    {
        using var model = GenerationGoldens.Random(
            new ModelConfig { Width = 16, ContextLength = 64, Layers = 1, VocabularySize = 256, Attention = GenerationGoldens.FourHeads });
        using var inference = ModelInference.Of(model);
        var generator = new TextGenerator(inference, new ByteTokenizer());
        var written = "";

        var result = generator.GenerateText(["é"], new SamplingOptions { MaxTokens = 60 }, (_, text) =>
            written += text, TestContext.Current.CancellationToken)[0];

        Assert.Equal(new ByteTokenizer().Decode([.. result.Tokens]), result.Text);
        Assert.Equal(result.Text, written);
    }

    [Fact]
    public void An_empty_prompt_is_a_line_break_where_no_token_begins_a_text()
    {
        using var model = GenerationGoldens.Random(
            new ModelConfig { Width = 16, ContextLength = 8, Layers = 1, VocabularySize = 256, Attention = GenerationGoldens.FourHeads });

        using var inference = ModelInference.Of(model);
        using var known = ModelInference.Of(stories.Model);
        Assert.Equal([(int)'\n'], new TextGenerator(inference, new ByteTokenizer()).Encode(""));
        Assert.Equal([1], new TextGenerator(known, stories.Tokenizer).Encode(""));
    }

    [Fact]
    public void An_empty_prompt_is_refused_where_there_is_no_line_break_either()
    {
        using var model = GenerationGoldens.Random(
            new ModelConfig { Width = 16, ContextLength = 8, Layers = 1, VocabularySize = 2, Attention = GenerationGoldens.FourHeads });

        using var inference = ModelInference.Of(model);
        var refusal = Assert.Throws<InputException>(
            () => new TextGenerator(inference, CharacterTokenizer.FromCorpus(new StringReader("ab"))).Encode(""));

        Assert.Contains("Give a prompt", refusal.Message);
    }

    private IReadOnlyList<GeneratedText> Generate(
        IReadOnlyList<string> prompts, SamplingOptions options, Action<int, string>? onText = null)
    {
        using var inference = ModelInference.Of(stories.Model);
        return new TextGenerator(inference, stories.Tokenizer)
            .GenerateText(prompts, options, onText, TestContext.Current.CancellationToken);
    }
}
