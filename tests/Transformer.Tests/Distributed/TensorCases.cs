using Transformer.Configuration;
using Transformer.Data;
using Transformer.Layers;
using Transformer.Model;
using static TorchSharp.torch;

namespace Transformer.Tests.Distributed;

/// <summary>Models of every kind that tensor parallelism supports, and ranks that run them.</summary>
internal static class TensorCases
{
    public const int Rows = 3, Tokens = 8;

    /// <summary>Every kind of mixer, window, position, residual and MLP that can be split, and the number of ranks.</summary>
    public static IReadOnlyDictionary<string, (ModelConfig Config, int Ranks)> Models { get; } =
        new Dictionary<string, (ModelConfig Config, int Ranks)>(
    [
        .. Tiny.Models.Where(model => !TensorParallelShare.Obstacles(model.Value).Any() && !DrawsBoundaries(model.Value))
            .Select(model => KeyValuePair.Create(model.Key, (model.Value, 2))),
        .. Tiny.Mlps.Select(mlp => KeyValuePair.Create($"mlp {mlp.Key}", (Tiny.Config with { Mlp = mlp.Value }, 2))),
        KeyValuePair.Create("four ranks", (Tiny.Config with { Attention = new SoftmaxAttentionConfig { Heads = 4 } }, 4)),
        KeyValuePair.Create(
            "four ranks with alibi",
            (Tiny.Config with { Position = new AlibiPositionConfig(), Attention = new SoftmaxAttentionConfig { Heads = 4 } }, 4)),
        KeyValuePair.Create("three ranks with alibi", (Tiny.Config with
        {
            Position = new AlibiPositionConfig(),
            Attention = new SoftmaxAttentionConfig { Heads = 6, HeadWidth = 4 },
            Mlp = new ReluMlpConfig { Hidden = 15 }
        }, 3)),
        KeyValuePair.Create(
            "four ranks with experts", (Tiny.Config with { Mlp = Tiny.Mixture, Attention = new SoftmaxAttentionConfig { Heads = 4 } }, 4)),
        KeyValuePair.Create("four ranks with gated_delta", (Tiny.Models["gated_delta"], 4)),
        KeyValuePair.Create("biases and norms of queries and keys", (Tiny.Config with
        {
            TiedHead = false,
            Attention = new SoftmaxAttentionConfig { Heads = 4, KvHeads = 2, Bias = true, QueryKeyNorm = true, LogitSoftCap = 2 },
            Mlp = new GeluMlpConfig { Bias = true },
        }, 2)),
        KeyValuePair.Create(
            "experts with biases",
            (Tiny.Config with { Mlp = Tiny.Mixture with { Balance = 0.3, Expert = new ReluMlpConfig { Hidden = 24, Bias = true } } }, 2)),
        KeyValuePair.Create("spans that are paid for", (Tiny.Config with
        {
            Attention = new SoftmaxAttentionConfig { Heads = 4, Window = new DynamicWindowConfig { Maximum = 6, Ramp = 2, Penalty = 0.1 } }
        }, 4)),
        KeyValuePair.Create("latent vectors with biases", (Tiny.Config with
        {
            Attention = new LatentAttentionConfig { Heads = 4, KvRank = 6, QueryRank = 7, RopeWidth = 2, Bias = true }
        }, 4)),
        KeyValuePair.Create(
            "mup", (Tiny.Config with { Initialization = new MupInitializationConfig { BaseWidth = 4, Deviation = 0.3 } }, 2)),
        KeyValuePair.Create("no mlp", (Tiny.Config with { Mlp = new NoMlpConfig() }, 2)),
    ]);

    public static TheoryData<string> Kinds => [.. Models.Keys];

    /// <summary>Whether training draws boundaries. Ranks draw the same ones, but threads share one generator.</summary>
    public static bool DrawsBoundaries(ModelConfig model) =>
        model.Layers.Hourglasses.Any(found => found.Hourglass.Boundaries is LearnedBoundariesConfig);

    /// <summary>Runs an action on several ranks, each with its part of a model; on a single rank with all of it.</summary>
    public static void OnShares(string kind, int ranks, Action<int, TransformerModel> act)
    {
        // Drawn one after the other: the generator is the process's.
        TransformerModel[] models = [.. Enumerable.Range(0, ranks).Select(rank => Draw(kind, rank))];
        Threads.Run(ranks, rank =>
        {
            using var whole = models[rank.Rank];
            if (ranks == 1)
            {
                act(0, whole);
                return;
            }
            using var share = TensorParallelModel.ShareOf(whole, new TensorParallelGroup(rank));
            act(rank.Rank, share);
        });
    }

    /// <summary>A model; each rank draws a different one, and rank 0's counts.</summary>
    public static TransformerModel Draw(string kind, int rank)
    {
        manual_seed(1 + rank);
        if (Tiny.Models.ContainsKey(kind)) return Tiny.Model(kind);
        var model = Tiny.Stir(new TransformerModel(Models[kind].Config));
        using var _ = no_grad();
        foreach (var (name, value) in model.named_parameters())
            // so that nothing hides behind a zero or a one
            if (name.EndsWith("bias") || name.EndsWith("_norm.weight")) value.add_(0.3 * randn_like(value));
        return model;
    }

    /// <summary>The inputs of a batch: [B, T].</summary>
    public static Tensor Ids() => tensor(Batch(7).Inputs, Rows, Tokens);

    /// <summary>Random rows.</summary>
    public static Batch Batch(int seed)
    {
        var random = new Random(seed);
        var ids = Enumerable.Range(0, Rows * (Tokens + 1)).Select(_ => (long)random.Next(Tiny.Config.VocabularySize!.Value)).ToArray();
        return new Batch(
            [.. ids.Chunk(Tokens + 1).SelectMany(row => row[..^1])], [.. ids.Chunk(Tokens + 1).SelectMany(row => row[1..])], Rows, Tokens);
    }
}
