using Transformer.Configuration;
using Transformer.Generation;
using Transformer.Inference.Cpu;
using Transformer.Inference.Torch;

namespace Transformer.Tests.Generation;

public sealed class SpeculationTests
{
    private static readonly ModelConfig Small = new()
    {
        Width = 32,
        ContextLength = 48,
        Layers = 2,
        VocabularySize = 12,
        Attention = new SoftmaxAttentionConfig { Heads = 4, KvHeads = 2 }
    };

    [Theory]
    [InlineData(0, 1)]
    [InlineData(0, 5)]
    [InlineData(0.8, 3)]
    [InlineData(2, 5)]
    public void Draft_tokens_change_no_token_also_past_the_context(double temperature, int drafted)
    {
        using var model = GenerationGoldens.Random(Small);
        using var engine = CpuInferenceModel.TryCreate(model, WeightFormat.Q8)!;
        using var plain = CpuInferenceModel.TryCreate(model)!;
        foreach (var prompt in (int[][])[[1], [1, 2, 3, 1, 2, 3, 1, 2]])
        {
            var options = new SamplingOptions { Temperature = temperature, MaxTokens = 120, Seed = 3 };
            Assert.Equal(Tokens(new(engine), prompt, options), Tokens(new(engine) { DraftTokens = drafted }, prompt, options));
            Assert.Equal(Tokens(new(plain), prompt, options), Tokens(new(plain) { DraftTokens = drafted }, prompt, options));
        }
    }

    // The accepted tokens are read again from a copy of the row, also past the context.
    [Theory]
    [InlineData(0)]
    [InlineData(1.5)]
    public void A_state_that_cannot_drop_tokens_goes_back_to_a_copy(double temperature)
    {
        using var model = GenerationGoldens.Random(Small with { Attention = new LinearAttentionConfig { Heads = 4 } });
        using var engine = CpuInferenceModel.TryCreate(model)!;
        var options = new SamplingOptions { Temperature = temperature, MaxTokens = 120, Seed = 3 };
        var found = new TextGenerator(engine) { DraftTokens = 4 }.Generate(
            [[1, 2, 1]], options, cancellation: TestContext.Current.CancellationToken)[0];
        Assert.Equal(Tokens(new(engine), [1, 2, 1], options), found.Tokens);
        Assert.InRange(found.Speculation!.Accepted, 1, found.Speculation.Drafted - 1);
    }

    // A pass rotates all of its tokens by the angles of its last, a draft token among them.
    [Fact]
    public void Where_angles_follow_the_length_draft_tokens_change_no_token()
    {
        using var model = GenerationGoldens.Random(Small with
        {
            Position = new RotaryPositionConfig { Scaling = new DynamicNtkScalingConfig { Factor = 4, OriginalLength = 6 } }
        });
        using var engine = CpuInferenceModel.TryCreate(model)!;
        using (var state = engine.NewState(rows: 1)) Assert.False(state.CanTruncate);
        var options = new SamplingOptions { Temperature = 2, MaxTokens = 60, Seed = 3 };
        Assert.Equal(Tokens(new(engine), [1, 2, 1, 2], options), Tokens(new(engine) { DraftTokens = 4 }, [1, 2, 1, 2], options));
    }

    [Fact]
    public void More_draft_tokens_than_the_state_can_hold_are_as_many_as_it_can()
    {
        using var model = GenerationGoldens.Random(Small);
        using var engine = CpuInferenceModel.TryCreate(model)!;
        Assert.Equal(
            Tokens(new(engine), [1, 2, 1], SamplingOptions.Greedy),
            Tokens(new(engine) { DraftTokens = TextGenerator.MostDraftTokens }, [1, 2, 1], SamplingOptions.Greedy));
    }

    [Theory]
    [InlineData(new[] { 5, 6, 7, 8, 5, 6 }, new[] { 7, 8, 5 })]
    [InlineData(new[] { 1, 2, 9, 4, 2, 3, 1, 2 }, new[] { 9, 4, 2 })]
    [InlineData(new[] { 4, 4 }, new[] { 4 })]
    [InlineData(new[] { 1, 2, 3 }, new int[0])]
    [InlineData(new[] { 1 }, new int[0])]
    public void Draft_tokens_are_what_followed_the_last_tokens_when_they_occurred_before(int[] text, int[] expected)
    {
        var drafted = new int[3];
        Assert.Equal(expected, drafted[..new PromptLookup().Propose(text, drafted)]);
    }

    private static IReadOnlyList<int> Tokens(TextGenerator generator, int[] prompt, SamplingOptions options) =>
        generator.Generate([prompt], options, cancellation: TestContext.Current.CancellationToken)[0].Tokens;
}
