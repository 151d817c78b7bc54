using Transformer.Configuration;
using Transformer.Generation;
using Transformer.Inference.Torch;
using static TorchSharp.torch;

namespace Transformer.Tests.Generation;

public sealed class CachedGenerationTests
{
    private const int Length = 12;

    private static readonly ModelConfig Small =
        new() { Width = 32, ContextLength = 16, Layers = 2, VocabularySize = 40, Attention = new SoftmaxAttentionConfig { Heads = 2 } };

    public static TheoryData<string> Kinds => [.. Configurations.Keys];

    private static Dictionary<string, ModelConfig> Configurations { get; } = new(
        Tiny.Windows.Select(window => KeyValuePair.Create(
            window.Key, Small with { Attention = new SoftmaxAttentionConfig { Heads = 4, KvHeads = 2, Window = window.Value } })))
    {
        ["local and global"] = Small with
        {
            Mixers = new Dictionary<string, AttentionConfig>
            {
                ["local"] = new SoftmaxAttentionConfig { Heads = 4, Window = new SlidingWindowConfig { Size = 4 } },
                ["global"] = new SoftmaxAttentionConfig { Heads = 4, LogitSoftCap = 5 },
            },
            Pattern = ["local", "global"],
        },
        ["rope, two query heads a key/value head"] = Small with { Attention = new SoftmaxAttentionConfig { Heads = 4, KvHeads = 2 } },
        ["one key/value head"] = Small with { Attention = new SoftmaxAttentionConfig { Heads = 4, KvHeads = 1, QueryKeyNorm = true } },
        ["learned positions, biases"] = Small with
        {
            Position = new LearnedPositionConfig(),
            Attention = new SoftmaxAttentionConfig { Heads = 2, Bias = true }
        },
        ["sinusoidal positions, soft cap"] = Small with
        {
            Position = new SinusoidalPositionConfig(),
            Attention = new SoftmaxAttentionConfig { Heads = 2, LogitSoftCap = 5 }
        },
        ["post-norm"] = Small with { Residual = new PostNormResidualConfig() },
        ["sandwich"] = Small with { Residual = new SandwichResidualConfig() },
        ["deep norm"] = Small with { Residual = new DeepNormResidualConfig() },
        ["rezero"] = Small with { Residual = new ReZeroResidualConfig() },
        ["hyper-connections"] = Small with { Residual = new HyperConnectionsResidualConfig() },
        ["value residual"] = Small with
        {
            Layers = 3,
            Attention = new SoftmaxAttentionConfig { Heads = 4, KvHeads = 2, ValueResidual = true }
        },
        ["mixture of experts"] = Small with
        {
            Mlp = new MixtureMlpConfig { Experts = 4, Active = 2, Expert = new GeluMlpConfig { Hidden = 24 } }
        },
        ["rope, yarn"] = Small with { Position = Tiny.Positions["rope_yarn"], Attention = new SoftmaxAttentionConfig { Heads = 4 } },
        ["rope, dynamic ntk, keys cached unturned"] = Small with
        {
            Position = new RotaryPositionConfig { Scaling = new DynamicNtkScalingConfig { Factor = 4, OriginalLength = 16 } },
            Attention = new SoftmaxAttentionConfig { Heads = 4, KvHeads = 2 }
        },
        ["alibi, heads that are no power of two"] = Small with
        {
            Position = new AlibiPositionConfig(),
            Attention = new SoftmaxAttentionConfig { Heads = 6, KvHeads = 2, HeadWidth = 8 }
        },
        ["t5"] = Small with { Position = Tiny.Positions["t5"], Attention = new SoftmaxAttentionConfig { Heads = 4, KvHeads = 2 } },
        ["relative, soft cap"] = Small with
        {
            Position = Tiny.Positions["relative"],
            Attention = new SoftmaxAttentionConfig { Heads = 4, KvHeads = 1, LogitSoftCap = 5 }
        },
        ["linear attention with convolutions"] = Small with { Attention = new LinearAttentionConfig { Heads = 2, ChunkLength = 4 } },
        ["linear attention with a key sum"] = Small with
        {
            Position = new LearnedPositionConfig(),
            Attention = new LinearAttentionConfig { Heads = 2, Rule = new EluRule() }
        },
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
        // chunks and steps of a recurrence round differently
        var tolerance = model.Config.AttentionAt(0) is LinearAttentionConfig ? 5e-5 : 1e-5;

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

        var results = model.Generate(
            prompts, SamplingOptions.Greedy with { MaxTokens = 10 }, cancellation: TestContext.Current.CancellationToken);

        Assert.Equal(
            prompts.Select(prompt => GenerationGoldens.WithoutCache(model, prompt, count: 10)), results.Select(result => result.Tokens));
    }
}
