using TorchSharp;
using Transformer.Configuration;
using Transformer.Data;
using Transformer.Distributed;
using Transformer.Generation;
using Transformer.Layers;
using Transformer.Model;
using Transformer.Native;
using Transformer.Training;
using static TorchSharp.torch;

namespace Transformer.Tests.Distributed;

/// <summary>Ranks that share heads and hidden units compute what one process does with all of them.</summary>
public sealed class TensorParallelTests
{
    private const int Steps = 3, Rows = 3, Tokens = 8;

    // Every kind of mixer, window, position, residual and MLP that can be split; in two where heads share keys, in four where they have their own.
    private static readonly Dictionary<string, (ModelConfig Config, int Ranks)> Cases = new(
    [
        .. Tiny.Models.Where(model => model.Key != "convolution").Select(model => KeyValuePair.Create(model.Key, (model.Value, 2))),
        .. Tiny.Mlps.Select(mlp => KeyValuePair.Create($"mlp {mlp.Key}", (Tiny.Config with { Mlp = mlp.Value }, 2))),
        KeyValuePair.Create("four ranks", (Tiny.Config with { Attention = new SoftmaxAttentionConfig { Heads = 4 } }, 4)),
        KeyValuePair.Create("four ranks with alibi", (Tiny.Config with { Position = new AlibiPositionConfig(), Attention = new SoftmaxAttentionConfig { Heads = 4 } }, 4)),
        KeyValuePair.Create("three ranks with alibi", (Tiny.Config with { Position = new AlibiPositionConfig(), Attention = new SoftmaxAttentionConfig { Heads = 6, HeadWidth = 4 }, Mlp = new ReluMlpConfig { Hidden = 15 } }, 3)),
        KeyValuePair.Create("four ranks with experts", (Tiny.Config with { Mlp = Tiny.Mixture, Attention = new SoftmaxAttentionConfig { Heads = 4 } }, 4)),
        KeyValuePair.Create("four ranks with gated_delta", (Tiny.Models["gated_delta"], 4)),
        KeyValuePair.Create("biases and norms of queries and keys", (Tiny.Config with
        {
            TiedHead = false,
            Attention = new SoftmaxAttentionConfig { Heads = 4, KvHeads = 2, Bias = true, QueryKeyNorm = true, LogitSoftCap = 2 },
            Mlp = new GeluMlpConfig { Bias = true },
        }, 2)),
        KeyValuePair.Create("experts with biases", (Tiny.Config with { Mlp = Tiny.Mixture with { Expert = new ReluMlpConfig { Hidden = 24, Bias = true } } }, 2)),
        KeyValuePair.Create("mup", (Tiny.Config with { Initialization = new MupInitializationConfig { BaseWidth = 4, Deviation = 0.3 } }, 2)),
        KeyValuePair.Create("no mlp", (Tiny.Config with { Mlp = new NoMlpConfig() }, 2)),
    ]);

    // A large epsilon makes the step follow the size of the gradient, so that nearly equal gradients give nearly equal steps; all steps are clipped.
    private static readonly TrainingConfig Config = new()
    {
        Steps = Steps,
        BatchSize = Rows,
        ZLoss = 1e-4,
        GradientClip = 0.1,
        Optimizer = new AdamWConfig { LearningRate = 0.1, Epsilon = 1, WeightDecay = 0.1 },
    };

    public static TheoryData<string> Kinds => [.. Cases.Keys];

    public static TheoryData<string> Splits => new("rope", "four ranks", "biases and norms of queries and keys", "four ranks with experts");

    [Theory, MemberData(nameof(Kinds))]
    public void Logits_loss_every_gradient_and_the_weights_after_clipped_steps_are_those_of_one_process(string kind)
    {
        // The sums that normalise dpfp come near zero behind another layer: weights that change by half their last bit change this gradient by 6e-4.
        AssertNear(Train(kind, 1), Train(kind, Cases[kind].Ranks), kind == "hybrid" ? 1e-3 : 1e-5);
    }

    [Theory, MemberData(nameof(Splits))]
    public void Blocks_that_are_computed_again_and_batches_that_are_added_up_change_nothing(string kind)
    {
        var config = Config with { ActivationCheckpointing = true };
        AssertNear(Train(kind, 1, config, batches: 2), Train(kind, Cases[kind].Ranks, config, batches: 2));
    }

    [Fact]
    public void Frozen_parameters_stay_and_the_others_train_as_in_one_process()
    {
        var config = Config with { Parameters = [new ParameterRule { Pattern = "*.down_proj.*", Frozen = true }, new ParameterRule { Pattern = "*embed*", Frozen = true }] };
        AssertNear(Train("biases and norms of queries and keys", 1, config), Train("biases and norms of queries and keys", 2, config));
    }

    [Theory]
    [InlineData(Precision.Bf16, 0.05)]
    [InlineData(Precision.Fp16, 0.005)]
    public void In_16_bits_the_gradient_is_as_near_to_that_of_fp32_as_one_process_s(Precision precision, double tolerance)
    {
        var (exact, one, two) = (Train("mlp gelu", 1), Train("mlp gelu", 1, precision: precision), Train("mlp gelu", 2, precision: precision));
        Assert.NotEqual(exact.Results[0].Loss, two.Results[0].Loss);    // else nothing was rounded
        foreach (var found in (Outcome[])[one, two])
            Near.Equal(1, found.Results[0].GradientNorm / exact.Results[0].GradientNorm, tolerance, "norm of the gradient");
        Near.Equal(one.Results[0].Loss, two.Results[0].Loss, tolerance, "loss");
    }

    [Theory, MemberData(nameof(Kinds))]
    public void The_whole_model_is_larger_in_just_the_dimension_that_is_said_to_be_split(string kind)
    {
        var (config, ranks) = Cases[kind];
        using var whole = new TransformerModel(config);
        Threads.Run(ranks, rank =>
        {
            using var share = TensorParallelModel.Empty(config, new TensorRanks(rank));
            Assert.Equal(whole.Weights.Select(weight => (weight.Name, string.Join(' ', weight.Value.shape))), share.Weights.Select(weight =>
                (weight.Name, string.Join(' ', weight.Value.shape.Select((size, dimension) => dimension == TensorSplit.Dimension(weight.Name) ? size * ranks : size)))));
        });
    }

    [Theory, MemberData(nameof(Kinds))]
    public void Ranks_that_write_together_write_what_one_process_does_greedily_and_by_chance(string kind)
    {
        var (_, ranks) = Cases[kind];
        int[][] prompts = [[1, 5, 2, 7, 3], [4, 4]];
        foreach (var temperature in (double[])[0, 1])
        {
            var options = new SamplingOptions { Temperature = temperature, Seed = 3, MaxTokens = 9 };    // past the context of 12 for the first prompt
            using var one = Draw(kind, rank: 0);
            var expected = new TextGenerator(one).Generate(prompts, options).Select(text => text.Tokens).ToArray();
            var found = new int[ranks][][];
            OnShares(kind, ranks, (rank, share) => found[rank] = [.. new TextGenerator(share).Generate(prompts, options).Select(text => text.Tokens.ToArray())]);
            Assert.All(found, tokens => Assert.Equal(expected, tokens));
        }
    }

    [Theory]
    [InlineData(false, 2)]
    [InlineData(true, 4)]
    public void A_block_costs_two_sums_over_the_ranks_going_forward_and_two_going_backward_or_four_where_it_is_computed_again(bool isComputedAgain, int backward)
    {
        var counts = new int[2][];
        TransformerModel[] models = [Draw("rope", 0), Draw("rope", 1)];
        Threads.Run(2, rank =>
        {
            var counting = new Counting(rank);
            using var share = TensorParallelModel.ShareOf(models[rank.Rank], new TensorRanks(counting));
            var recomputation = isComputedAgain ? new Recomputation() : null;
            var hidden = share.HiddenAndPenalty(Ids(), recomputation).Hidden;
            var before = counting.Sums;
            hidden.sum().backward();
            counts[rank.Rank] = [before, counting.Sums - before];
        });
        var blocks = Tiny.Config.Layers;
        Assert.All(counts, count => Assert.Equal([2 * blocks, backward * blocks], count));
    }

    [Theory, MemberData(nameof(Splits))]
    public void Steps_leave_no_live_tensor_behind(string kind) => OnShares(kind, Cases[kind].Ranks, (_, model) =>
    {
        using var space = new ParameterSpace(model);
        using var optimizer = Optimizer.FromConfig(Config.Optimizer, space);
        var step = new TrainingStep(model, space, optimizer, Config);
        for (var warmUp = 0; warmUp < 3; warmUp++) step.Run(1, [Batch(0)]);
        var before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        for (var again = 0; again < 3; again++) step.Run(1, [Batch(0)]);
        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    });

    [Fact]
    public void Ranks_end_a_text_at_the_same_token_where_only_one_of_them_is_asked_to()
    {
        var found = new GeneratedText[2];
        OnShares("rope", 2, (rank, share) =>
        {
            using var interruption = new CancellationTokenSource();
            var tokens = 0;
            found[rank] = new TextGenerator(share).Generate([[1, 2]], new SamplingOptions { MaxTokens = 9 }, onToken: (_, _) =>
            {
                if (++tokens == 4 && rank == 1) interruption.Cancel();
            }, cancellation: interruption.Token)[0];
        });
        Assert.All(found, text => Assert.Equal((FinishReason.Cancelled, 4), (text.FinishReason, text.Tokens.Count)));
    }

    [Theory]
    [InlineData("rope", 2)]
    [InlineData("four ranks", 2)]
    [InlineData("four ranks", 4)]
    [InlineData("four ranks with experts", 4)]
    public void A_rank_keeps_the_bytes_that_the_formula_says(string kind, int ranks)
    {
        var config = Cases[kind].Config with { Width = 64, VocabularySize = 64 };
        using var whole = new TransformerModel(config);
        var (size, bytes) = (new ModelSize(config), new long[ranks]);
        Threads.Run(ranks, rank =>
        {
            using var model = TensorParallelModel.ShareOf(whole, new TensorRanks(rank));
            using var space = new ParameterSpace(model);
            using var optimizer = Optimizer.FromConfig(Config.Optimizer, space);
            bytes[rank.Rank] = ((Tensor[])[space.Values, space.Gradients, .. optimizer.State.Select(state => state.Value)]).Sum(tensor => tensor.numel() * tensor.element_size());
            Assert.Equal(size.ShareOf(ranks).Parameters, model.parameters().Sum(parameter => parameter.numel()));
        });
        double expected = RankMemory.Bytes(size, DistributedStrategy.TensorParallel, ranks, isMixed: false);
        Assert.All(bytes, found => Assert.InRange(found, 0.98 * expected, 1.02 * expected));
        Assert.InRange(expected, 16 * whole.parameters().Sum(parameter => parameter.numel()) / ranks, 16 * whole.parameters().Sum(parameter => parameter.numel()));
    }

    [Fact]
    public void A_share_keeps_its_part_of_the_keys_and_values()
    {
        using var whole = new TransformerModel(Cases["four ranks"].Config);
        using var state = whole.NewState(rows: 2);
        Threads.Run(4, rank =>
        {
            using var share = TensorParallelModel.ShareOf(whole, new TensorRanks(rank));
            using var own = share.NewState(rows: 2);
            Assert.Equal(state.Bytes, 4 * own.Bytes);
        });
    }

    [Fact]
    public void An_embedding_a_norm_and_a_head_stay_the_same_on_all_ranks_to_the_last_bit()
    {
        const string kind = "biases and norms of queries and keys";
        var weights = new Dictionary<string, Tensor>[2];
        OnShares(kind, 2, (rank, share) =>
        {
            Take(share, Config, batches: 1);
            weights[rank] = share.Weights.Where(weight => TensorSplit.Dimension(weight.Name) is null).ToDictionary(weight => weight.Name, weight => weight.Value.detach().clone());
        });
        Assert.Contains("lm_head.weight", weights[0].Keys);
        Assert.Contains("model.layers.1.self_attn.q_norm.weight", weights[0].Keys);
        foreach (var (name, value) in weights[0]) Near.Equal(value, weights[1][name], 0, name);
    }

    [Theory]
    [InlineData(3, "{kind: softmax, heads: 4}", "model.attention.heads: 3 ranks cannot share 4 heads equally")]
    [InlineData(2, "{kind: softmax, heads: 4, kv_heads: 1}", "model.attention.kv_heads: 2 ranks cannot share 1 key/value heads equally")]
    [InlineData(4, "{kind: linear, heads: 2}", "model.attention.heads: 4 ranks cannot share 2 heads equally")]
    public void Heads_that_ranks_cannot_share_are_refused_by_name(int ranks, string attention, string problem)
    {
        var run = Parse($"model.attention={attention}");
        Assert.Contains(problem, Assert.Throws<InputException>(() => TensorShare.Check(run.Model, ranks)).Message);
    }

    [Theory]
    [InlineData("model.attention.dropout=0.1", "model.attention.dropout: found 0.1, but under tensor_parallel")]
    [InlineData("model={width: 16, context_length: 16, layers: 1, position: {kind: none}, attention: {kind: convolution}}", "model.attention.kind: a convolution alone has no heads for tensor_parallel to split")]
    [InlineData("training.optimizer={kind: muon, learning_rate: 1.0e-2}", "training.distributed.strategy: a shard ends in the middle of matrices, which muon needs whole")]
    public void What_tensor_parallelism_has_no_meaning_for_is_refused_by_name(string set, string problem) =>
        Assert.Contains(problem, Assert.Throws<InputException>(() => Parse(set)).Message);

    [Fact]
    public void Hidden_units_that_ranks_cannot_share_are_refused_by_name() =>
        Assert.Contains("model.mlp.hidden: 2 ranks cannot share 15 hidden units equally", Assert.Throws<InputException>(() => TensorShare.Check(Parse("model.mlp={kind: gelu, hidden: 15}").Model, 2)).Message);

    private static RunConfig Parse(string set) => ConfigFile.Parse(
        """
        model: {width: 16, context_length: 16, layers: 1, attention: {kind: softmax, heads: 4}}
        data: {path: corpus.txt, tokenizer: {kind: character}}
        training: {steps: 1, batch_size: 1, optimizer: {kind: adamw, learning_rate: 1.0e-2}, distributed: {strategy: tensor_parallel}}
        """, "test", [set]);

    private static void AssertNear(Outcome one, Outcome several, double gradients = 1e-5)
    {
        Near.Equal(one.Logits, several.Logits, 1e-5 * Math.Max(1, one.Logits.abs().max().item<float>()), "logits");
        foreach (var (name, gradient) in one.Gradients) Near.Equal(gradient, several.Gradients[name], gradients * Math.Max(1, gradient.abs().max().item<float>()), $"gradient of {name}");
        for (var step = 0; step < Steps; step++)
        {
            Near.Equal(one.Results[step].Loss, several.Results[step].Loss, 1e-5 * Math.Max(1, one.Results[step].Loss), $"loss of step {step}");
            Near.Equal(1, several.Results[step].GradientNorm / one.Results[step].GradientNorm, 1e-4, $"norm of step {step}");
            Assert.True(one.Results[step].GradientNorm > Config.GradientClip, "nothing was clipped");
        }
        foreach (var (name, value) in one.Weights) Near.Equal(value, several.Weights[name], 1e-5, name);
    }

    private static Outcome Train(string kind, int ranks, TrainingConfig? config = null, int batches = 1, Precision precision = Precision.Fp32)
    {
        config ??= Config;
        var outcomes = new Outcome[ranks];
        OnShares(kind, ranks, (rank, model) =>
        {
            model.Precision = precision;
            Tensor logits;
            using (no_grad()) logits = model.call(Ids(), null).DetachFromDisposeScope();
            outcomes[rank] = Take(model, config, batches) with { Logits = logits };
        });
        Assert.All(outcomes, outcome => Assert.Equal(outcomes[0].Results, outcome.Results));
        return outcomes[0];
    }

    // The gradients of the first step and what the last one leaves, of the whole model.
    private static Outcome Take(TransformerModel model, TrainingConfig config, int batches)
    {
        using var space = new ParameterSpace(model, config.Parameters);
        using var optimizer = Optimizer.FromConfig(config.Optimizer, space);
        var step = new TrainingStep(model, space, optimizer, config);
        var recomputation = new Recomputation();
        var (loss, total) = model.Loss(model.HiddenAndPenalty(Ids(), recomputation) is var (hidden, penalty) ? hidden : null!, Ids(), config.ZLoss);
        space.Backward(isLast: true, () =>
        {
            (penalty is null ? total : total + penalty).backward();
            recomputation.ThrowIfFailed();
            model.Tensors?.ThrowIfFailed();
            return loss.item<float>();
        });
        var gradients = Whole(model, space.Parameters.Select(parameter => (parameter.Name, parameter.Gradient!)));
        space.ZeroGradients();
        TrainingStep.Result[] results = [.. Enumerable.Range(0, Steps).Select(at => step.Run(1, [.. Enumerable.Range(0, batches).Select(batch => Batch(at * batches + batch))]))];
        return new(results, gradients, Whole(model, model.Weights), zeros(1));
    }

    private static Dictionary<string, Tensor> Whole(TransformerModel model, IEnumerable<(string Name, Tensor Value)> parts) => parts.ToDictionary(
        part => part.Name, part => (model.Tensors is { } tensors ? TensorSplit.Join(part.Name, part.Value, tensors) : part.Value).detach().clone().DetachFromDisposeScope());

    // Drawn one after the other: the generator is the process's.
    private static void OnShares(string kind, int ranks, Action<int, TransformerModel> act)
    {
        TransformerModel[] models = [.. Enumerable.Range(0, ranks).Select(rank => Draw(kind, rank))];
        Threads.Run(ranks, rank =>
        {
            using var whole = models[rank.Rank];
            if (ranks == 1)
            {
                act(0, whole);
                return;
            }
            using var share = TensorParallelModel.ShareOf(whole, new TensorRanks(rank));
            act(rank.Rank, share);
        });
    }

    // Each rank draws another model: that of rank 0 counts.
    private static TransformerModel Draw(string kind, int rank)
    {
        manual_seed(1 + rank);
        if (Tiny.Models.ContainsKey(kind)) return Tiny.Model(kind);
        var model = Tiny.Stir(new TransformerModel(Cases[kind].Config));
        using var _ = no_grad();
        foreach (var (name, value) in model.named_parameters())
            if (name.EndsWith("bias") || name.EndsWith("_norm.weight")) value.add_(0.3 * randn_like(value));    // so that nothing hides behind a zero or a one
        return model;
    }

    private static Tensor Ids() => tensor(Batch(7).Inputs, Rows, Tokens);

    private static Batch Batch(int seed)
    {
        var random = new Random(seed);
        var ids = Enumerable.Range(0, Rows * (Tokens + 1)).Select(_ => (long)random.Next(Tiny.Config.VocabularySize!.Value)).ToArray();
        return new Batch([.. ids.Chunk(Tokens + 1).SelectMany(row => row[..^1])], [.. ids.Chunk(Tokens + 1).SelectMany(row => row[1..])], Rows, Tokens);
    }

    // Counts the sums of a rank.
    private sealed class Counting(ICollective ranks) : ICollective
    {
        public int Sums { get; private set; }

        public int Rank => ranks.Rank;

        public int Ranks => ranks.Ranks;

        public string Doing { get; set; } = "";

        public Task ReduceScatter(Tensor buffer)
        {
            Sums++;
            return ranks.ReduceScatter(buffer);
        }

        public Task AllGather(Tensor buffer) => ranks.AllGather(buffer);

        public void Broadcast(Tensor tensor, int root) => ranks.Broadcast(tensor, root);

        public void Abort(int code) => ranks.Abort(code);

        public void Dispose() => ranks.Dispose();
    }

    private sealed record Outcome(TrainingStep.Result[] Results, Dictionary<string, Tensor> Gradients, Dictionary<string, Tensor> Weights, Tensor Logits);
}
