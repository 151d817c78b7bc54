using Transformer.Configuration;
using Transformer.Generation;
using static TorchSharp.torch;

namespace Transformer.Tests.Generation;

public sealed class CachedGenerationTests
{
    private const int Length = 12;

    private static readonly ModelConfig Small = new() { Width = 32, ContextLength = 16, Layers = 2, VocabularySize = 40 };

    public static TheoryData<string> Kinds => [.. Configurations.Keys];

    private static Dictionary<string, ModelConfig> Configurations { get; } = new()
    {
        ["rope, two query heads a key/value head"] = Small with { Attention = new SoftmaxAttentionConfig { Heads = 4, KvHeads = 2 } },
        ["one key/value head"] = Small with { Attention = new SoftmaxAttentionConfig { Heads = 4, KvHeads = 1, QueryKeyNorm = true } },
        ["learned positions, biases"] = Small with { Position = new LearnedPositionConfig(), Attention = new SoftmaxAttentionConfig { Heads = 2, Bias = true } },
        ["sinusoidal positions, soft cap"] = Small with { Position = new SinusoidalPositionConfig(), Attention = new SoftmaxAttentionConfig { Heads = 2, LogitSoftCap = 5 } },
        ["linear attention with convolutions"] = Small with { Attention = new LinearAttentionConfig { Heads = 2, ChunkLength = 4 } },
        ["linear attention with a key sum"] = Small with { Position = new LearnedPositionConfig(), Attention = new LinearAttentionConfig { Heads = 2, Rule = LinearRule.Elu } },
        ["a hybrid"] = Small with
        {
            Mixers = new Dictionary<string, AttentionConfig>
            {
                ["local"] = new LinearAttentionConfig { Heads = 4 },
                ["global"] = new SoftmaxAttentionConfig { Heads = 4 },
            },
            Pattern = ["local", "global"],
        },
    };

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Every_split_of_the_prefill_gives_the_logits_of_the_full_pass(string kind)
    {
        using var model = GenerationGoldens.Random(Configurations[kind]);
        using var scope = NewDisposeScope();
        using var inference = inference_mode();
        var ids = randint(0, 40, [2, Length], ScalarType.Int64);
        var full = model.forward(ids, null);
        var tolerance = model.Config.AttentionAt(0) is LinearAttentionConfig ? 5e-5 : 1e-5;    // chunks and steps of a recurrence round differently

        for (var first = 1; first <= Length; first++)
        {
            for (var second = 0; second <= Length - first; second++)
            {
                using var state = model.NewState(rows: 2, Length);
                var parts = new List<Tensor> { model.forward(ids.narrow(1, 0, first), state) };
                if (second > 0) parts.Add(model.forward(ids.narrow(1, first, second), state));
                for (var at = first + second; at < Length; at++) parts.Add(model.forward(ids.narrow(1, at, 1), state));

                var error = (cat([.. parts], 1) - full).abs().max().item<float>();
                Assert.True(error < tolerance, $"{first} + {second} + single tokens: off by {error}");
            }
        }
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Tokens_are_those_of_passes_without_a_cache(string kind)
    {
        using var model = GenerationGoldens.Random(Configurations[kind]);
        int[][] prompts = [[3, 1, 4], [1, 5, 9, 2, 6], [5]];

        var results = new TextGenerator(model).Generate(prompts, SamplingOptions.Greedy with { MaxTokens = 10 }, cancellation: TestContext.Current.CancellationToken);

        Assert.Equal(prompts.Select(prompt => GenerationGoldens.WithoutCache(model, prompt, count: 10)), results.Select(result => result.Tokens));
    }
}
