using Transformer.Checkpoints;
using Transformer.Configuration;
using Transformer.Formats;
using Transformer.Generation;
using Transformer.Inference.Torch;
using Transformer.Model;

namespace Transformer.Tests.Generation;

public sealed class TextGeneratorTests
{
    private static readonly SamplingOptions Greedy = SamplingOptions.Greedy;

    [Theory]
    [InlineData("tied", "a")]
    [InlineData("tied", "b")]
    [InlineData("untied", "a")]
    [InlineData("untied", "b")]
    public void Greedy_continuations_of_the_reference_Llama_are_its_own(string which, string prompt)
    {
        using var model = GenerationGoldens.Llama(which);
        var (start, whole) = (Golden(which, $"greedy_{prompt}_prompt"), Golden(which, $"greedy_{prompt}_tokens"));

        var result = Assert.Single(Generate(model, [start], Greedy with { MaxTokens = 16 }));

        Assert.Equal(whole[start.Length..], result.Tokens);
        Assert.Equal(FinishReason.MaxTokens, result.FinishReason);
    }

    [Fact]
    public void Prompts_of_unequal_length_in_one_batch_are_continued_as_one_by_one()
    {
        using var model = GenerationGoldens.Llama("tied");
        var whole = Golden("tied", "greedy_a_tokens");
        int[][] prompts = [whole[..3], whole[..20], whole[5..6], Golden("tied", "greedy_b_prompt")];

        foreach (var options in new[] { Greedy with { MaxTokens = 25 }, new SamplingOptions { MaxTokens = 25, Seed = 3 } })
        {
            var together = Generate(model, prompts, options);

            for (var row = 0; row < prompts.Length; row++)
            {
                // Alone, a prompt is row 0; as the last of copies of itself it draws from its own row's stream.
                var alone = Generate(model, [.. Enumerable.Repeat(prompts[row], row + 1)], options)[row];
                Assert.Equal(alone.Tokens, together[row].Tokens);
                Assert.Equal(alone.FinishReason, together[row].FinishReason);
            }
        }
    }

    [Theory]
    [InlineData(40, 100)]
    [InlineData(1, 90)]
    public void A_row_that_outgrows_the_context_goes_on_from_its_last_half_as_if_alone(int longest, int tokens)
    {
        using var model = GenerationGoldens.Llama("tied");
        var whole = Golden("tied", "greedy_a_tokens");
        int[][] prompts = [[.. whole.Concat(whole).Take(longest)], whole[..8], whole[3..4]];

        var results = Generate(model, prompts, Greedy with { MaxTokens = tokens });

        Assert.Equal(
            prompts.Select(prompt => GenerationGoldens.WithoutCache(model, prompt, tokens)), results.Select(result => result.Tokens));
        Assert.All(results, result => Assert.Equal(FinishReason.MaxTokens, result.FinishReason));
    }

    [Fact]
    public void A_prompt_longer_than_the_context_is_refused()
    {
        using var model = GenerationGoldens.Llama("tied");

        var refusal = Assert.Throws<InputException>(() => Generate(model, [new int[41]], Greedy));

        Assert.Contains("41 tokens", refusal.Message);
        Assert.Contains("40 or fewer", refusal.Message);
    }

    [Theory]
    [InlineData(new int[0])]
    [InlineData(new[] { 101 })]
    [InlineData(new[] { -1 })]
    public void A_prompt_that_is_no_prompt_is_refused(int[] prompt)
    {
        using var model = GenerationGoldens.Llama("tied");

        Assert.Throws<InputException>(() => Generate(model, [prompt], Greedy));
    }

    [Fact]
    public void Tokens_are_reported_as_they_are_chosen()
    {
        using var model = GenerationGoldens.Llama("tied");
        var reported = new List<int>[] { [], [] };

        var results = Generate(model, [[1], [2, 3]], Greedy with { MaxTokens = 9 }, (row, token) => reported[row].Add(token));

        Assert.Equal(results.Select(result => result.Tokens), reported);
    }

    [Fact]
    public void Cancelling_ends_after_the_step_with_what_there_is()
    {
        using var model = GenerationGoldens.Llama("tied");
        using var cancellation = new CancellationTokenSource();
        var count = 0;

        var result = Assert.Single(model.Generate([[1]], Greedy, onToken: (_, _) =>
        {
            if (++count == 3) cancellation.Cancel();
        }, cancellation: cancellation.Token));

        Assert.Equal((3, FinishReason.Cancelled), (result.Tokens.Count, result.FinishReason));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void The_model_is_in_evaluation_meanwhile_and_afterwards_as_it_was(bool training)
    {
        using var model = GenerationGoldens.Random(new ModelConfig
        {
            Width = 16,
            ContextLength = 16,
            Layers = 1,
            VocabularySize = 11,
            Attention = GenerationGoldens.FourHeads,
            Dropout = 0.5
        });
        model.train(training);
        var during = true;

        var once = OfLibtorch();

        Assert.False(during);
        Assert.Equal(training, model.training);
        Assert.Equal(once, OfLibtorch());

        IReadOnlyList<int> OfLibtorch()
        {
            using var inference = new TorchInferenceModel(model);
            return new TextGenerator(inference).Generate([[1]], Greedy with { MaxTokens = 12 }, (_, _) =>
                during = model.training, cancellation: TestContext.Current.CancellationToken)[0].Tokens;
        }
    }

    [Fact]
    public void Equal_prompts_draw_different_tokens_a_row_and_the_same_with_the_same_seed()
    {
        using var model = GenerationGoldens.Random(
            new ModelConfig { Width = 16, ContextLength = 32, Layers = 1, VocabularySize = 50, Attention = GenerationGoldens.FourHeads });
        var options = new SamplingOptions { MaxTokens = 20, Seed = 5, Temperature = 2 };

        var first = Generate(model, [[1], [1], [1]], options);
        var again = Generate(model, [[1], [1]], options);
        var other = Generate(model, [[1]], options with { Seed = 6 });

        Assert.NotEqual(first[0].Tokens, first[1].Tokens);
        Assert.NotEqual(first[1].Tokens, first[2].Tokens);
        Assert.Equal(first[0].Tokens, again[0].Tokens);
        Assert.Equal(first[1].Tokens, again[1].Tokens);
        Assert.NotEqual(first[0].Tokens, other[0].Tokens);
    }

    private static IReadOnlyList<GeneratedText> Generate(
        TransformerModel model, IReadOnlyList<int[]> prompts, SamplingOptions options, Action<int, int>? onToken = null) =>
        model.Generate(prompts, options, onToken: onToken, cancellation: TestContext.Current.CancellationToken);

    private static int[] Golden(string which, string name)
    {
        using var file = SafetensorsFile.Open(GenerationGoldens.PathOf("llama", which, "forward.safetensors"));
        using var tensor = file.Read(name);
        return [.. tensor.data<long>().Select(id => (int)id)];
    }
}
