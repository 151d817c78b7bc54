using System.Text.Json.Nodes;
using Transformer.Configuration;
using Transformer.Data;
using Transformer.Distributed;
using Transformer.Model;
using Transformer.Native;
using Transformer.Runs;
using Transformer.Training;
using static TorchSharp.torch;

namespace Transformer.Tests.Distributed;

/// <summary>Several ranks train the same as one, whatever each of them keeps.</summary>
public sealed class ShardingTests
{
    private const int Steps = 3, Rows = 5, Tokens = 8;

    // A large epsilon makes the step follow the size of the gradient, not its sign alone, so that nearly equal gradients give nearly equal
    // steps.
    private static readonly TrainingConfig Config = new()
    {
        Steps = Steps,
        BatchSize = Rows,
        ZLoss = 1e-4,
        GradientClip = 0.5,
        Optimizer = new AdamWConfig { LearningRate = 0.1, Epsilon = 1, WeightDecay = 0.1 },
    };

    // Ranks that draw boundaries each draw their own, but these are threads, which share one generator.
    public static TheoryData<string> Kinds =>
        [.. Tiny.Models.Where(model => !TensorCases.DrawsBoundaries(model.Value)).Select(model => model.Key)];

    [Theory, MemberData(nameof(Kinds))]
    public void Zero_1_2_and_3_equal_plain_data_parallel_bit_for_bit_where_three_ranks_share_five_rows(string kind)
    {
        var plain = Train(kind, 3, DistributedStrategy.DataParallel);
        foreach (var strategy in (DistributedStrategy[])[DistributedStrategy.Zero1, DistributedStrategy.Zero2, DistributedStrategy.Zero3])
        {
            // Refused: it needs a block's parameters before and behind the block.
            if (strategy == DistributedStrategy.Zero3 && Tiny.Models[kind].Memory is AssociativeMemoryConfig) continue;
            AssertSame(plain, Train(kind, 3, strategy));
        }
    }

    [Theory]
    [InlineData(DistributedStrategy.Zero1)]
    [InlineData(DistributedStrategy.Zero2)]
    [InlineData(DistributedStrategy.Zero3)]
    public void Four_ranks_with_rounded_moments_and_recomputed_blocks_stay_equal_bit_for_bit(DistributedStrategy strategy)
    {
        var config = Config with
        {
            ActivationCheckpointing = true,
            Optimizer = new AdamWConfig { LearningRate = 0.01, StatePrecision = StatePrecision.Bf16 }
        };
        AssertSame(Train("rope", 4, DistributedStrategy.DataParallel, config), Train("rope", 4, strategy, config));
    }

    [Theory, MemberData(nameof(Kinds))]
    public void Two_ranks_train_what_one_does(string kind)
    {
        // The load balance of experts is computed over the rows that are processed together.
        if (Tiny.Models[kind].Mlp is MixtureMlpConfig) return;
        AssertNear(Train(kind, 1, DistributedStrategy.DataParallel), Train(kind, 2, DistributedStrategy.DataParallel));
    }

    [Theory]
    [InlineData(DistributedStrategy.DataParallel)]
    [InlineData(DistributedStrategy.Zero1)]
    [InlineData(DistributedStrategy.Zero2)]
    [InlineData(DistributedStrategy.Zero3)]
    public void Accumulated_batches_are_added_up_over_two_ranks(DistributedStrategy strategy) =>
        AssertNear(Train("rope", 1, DistributedStrategy.DataParallel, batches: 3), Train("rope", 2, strategy, batches: 3));

    [Fact]
    public void Rows_count_by_their_tokens_and_a_rank_may_have_none()
    {
        Batch Ragged(int seed)
        {
            var batch = Draw(seed);
            for (var place = 0; place < batch.Targets.Length; place++)
                if (place / Tokens is 0 or 1 || place % Tokens < place / Tokens) batch.Targets[place] = Batch.IgnoredTarget;
            return batch;
        }
        AssertNear(
            Train("rope", 1, DistributedStrategy.DataParallel, draw: Ragged), Train("rope", 3, DistributedStrategy.Zero3, draw: Ragged));
    }

    [Theory]
    [InlineData(DistributedStrategy.DataParallel)]
    [InlineData(DistributedStrategy.Zero3)]
    public void Frozen_parameters_stay_and_the_others_train_as_on_one_rank(DistributedStrategy strategy)
    {
        var config = Config with
        {
            Parameters = [
            new ParameterRule { Pattern = "model.layers.0.*", Frozen = true }, new ParameterRule { Pattern = "*embed*", Frozen = true }]
        };
        AssertNear(Train("rope", 1, DistributedStrategy.DataParallel, config), Train("rope", 2, strategy, config));
    }

    // The embedding is final when the whole pass is, and the edge of an hourglass behind a trained block while a frozen one is computed.
    [Theory]
    [InlineData("rope", "model.layers.*", DistributedStrategy.DataParallel)]
    [InlineData("rope", "model.layers.*", DistributedStrategy.Zero2)]
    [InlineData("hourglass", "model.layers.2.*", DistributedStrategy.DataParallel)]
    [InlineData("hourglass, attention", "model.layers.1.*", DistributedStrategy.DataParallel)]
    [InlineData("hourglass, attention", "model.layers.1.*", DistributedStrategy.Zero2)]
    public void What_lies_between_frozen_blocks_is_reduced_when_it_is_final(string kind, string frozen, DistributedStrategy strategy)
    {
        var config = Config with { Parameters = [new ParameterRule { Pattern = frozen, Frozen = true }] };
        AssertNear(Train(kind, 1, DistributedStrategy.DataParallel, config), Train(kind, 2, strategy, config));
    }

    [Theory]
    [InlineData(DistributedStrategy.DataParallel, 1)]
    [InlineData(DistributedStrategy.DataParallel, 2)]
    [InlineData(DistributedStrategy.Zero1, 2)]
    [InlineData(DistributedStrategy.Zero1, 4)]
    [InlineData(DistributedStrategy.Zero2, 2)]
    [InlineData(DistributedStrategy.Zero2, 4)]
    [InlineData(DistributedStrategy.Zero3, 2)]
    [InlineData(DistributedStrategy.Zero3, 4)]
    public void A_rank_keeps_the_bytes_that_the_formula_says(DistributedStrategy strategy, int ranks) =>
        AssertKeeps(Config, strategy, ranks);

    [Theory]
    [InlineData(DistributedStrategy.DataParallel, 1)]
    [InlineData(DistributedStrategy.Zero1, 4)]
    [InlineData(DistributedStrategy.Zero2, 2)]
    [InlineData(DistributedStrategy.Zero3, 4)]
    public void Rounded_moments_and_averaged_weights_are_counted(DistributedStrategy strategy, int ranks) =>
        AssertKeeps(
            Config with { EmaDecay = 0.9, Optimizer = new AdamWConfig { LearningRate = 0.01, StatePrecision = StatePrecision.Bf16 } },
            strategy, ranks);

    [Fact]
    public void Muon_s_one_momentum_is_counted() =>
        AssertKeeps(Config with { Optimizer = new MuonConfig { LearningRate = 0.01 } }, DistributedStrategy.DataParallel, 2);

    private static void AssertKeeps(TrainingConfig training, DistributedStrategy strategy, int ranks)
    {
        TransformerModel[] models = [.. Models("rope", ranks, Tiny.Config with { Width = 64, VocabularySize = 128 })];
        var bytes = new long[ranks];
        Threads.Run(ranks, rank =>
        {
            using var scope = NewDisposeScope();
            var model = models[rank.Rank];
            using var space = new ParameterSpace(model, ranks: rank, strategy: strategy);
            using var optimizer = Optimizer.FromConfig(training.Optimizer, space);
            using var average = training.EmaDecay is { } decay ? new WeightAverage(space, decay) : null;
            new TrainingStep(model, space, optimizer, training).Run(1, [Draw(0)]);
            // Each memory once, however many parameters and gradients are views of it.
            var own = model.parameters().SelectMany(parameter => new[] { parameter, parameter.grad }).Append(average?.Values)
                .OfType<Tensor>().Where(tensor => !Inside(tensor, space));
            bytes[rank.Rank] = own.Concat([space.Values, space.Gradients]).Concat(optimizer.State.Select(state => state.Value))
                .Sum(tensor => tensor.numel() * tensor.element_size());
        });
        var expected = RankMemory.Bytes(new ModelSize(models[0].Config), training, strategy, ranks);
        Assert.All(bytes, found => Assert.InRange(found, 0.98 * expected, 1.02 * expected));

        static bool Inside(Tensor tensor, ParameterSpace space) => ((Tensor[])[space.Values, space.Gradients]).Any(buffer =>
            Aten.DataPointer(tensor) is var place && place >= Aten.DataPointer(buffer)
                && place < Aten.DataPointer(buffer) + (nint)(buffer.numel() * sizeof(float)));
    }

    [Theory]
    [InlineData(DistributedStrategy.Zero1)]
    [InlineData(DistributedStrategy.Zero2)]
    [InlineData(DistributedStrategy.Zero3)]
    public void Steps_that_would_leave_them_keep_learned_spans_between_zero_and_one_whatever_is_sharded(DistributedStrategy strategy)
    {
        var config = Config with { Parameters = [new ParameterRule { Pattern = "*.span", LearningRateScale = 1e6 }] };
        var plain = Train("adaptive", 3, DistributedStrategy.DataParallel, config);
        Assert.All(plain.Weights.Where(weight => weight.Key.EndsWith(".span", StringComparison.Ordinal))
            .SelectMany(weight => weight.Value.data<float>().ToArray()), share => Assert.True(share is 0 or 1, $"{share}"));
        AssertSame(plain, Train("adaptive", 3, strategy, config));
    }

    [Fact]
    public void Keeping_learned_spans_in_their_bounds_brings_no_parameters_together()
    {
        Assert.Equal(Gatherings("length_scaled"), Gatherings("adaptive"));

        static int Gatherings(string kind)
        {
            TransformerModel[] models = [.. Models(kind, 2, Tiny.Models[kind])];
            var gatherings = new int[2];
            Threads.Run(2, rank =>
            {
                using var model = models[rank.Rank];
                using var space = new ParameterSpace(model, ranks: rank, strategy: DistributedStrategy.Zero3);
                using var optimizer = Optimizer.FromConfig(Config.Optimizer, space);
                new TrainingStep(model, space, optimizer, Config).Run(1, [Draw(0)]);
                gatherings[rank.Rank] = ((Threads)rank).Gatherings;
            });
            return gatherings[0];
        }
    }

    [Fact]
    public void The_paper_s_model_of_7_5_billion_parameters_takes_on_64_ranks_what_its_formulas_give_with_fp32_throughout()
    {
        double Gigabytes(DistributedStrategy strategy) => 7.5 * RankMemory.BytesPerParameter(strategy, 64);
        Near.Equal(120, Gigabytes(DistributedStrategy.DataParallel), 0.05);
        Near.Equal(60.9, Gigabytes(DistributedStrategy.Zero1), 0.05);
        Near.Equal(31.4, Gigabytes(DistributedStrategy.Zero2), 0.05);
        Near.Equal(1.88, Gigabytes(DistributedStrategy.Zero3), 0.005);
    }

    [Theory]
    [InlineData(DistributedStrategy.DataParallel)]
    [InlineData(DistributedStrategy.Zero1)]
    [InlineData(DistributedStrategy.Zero2)]
    [InlineData(DistributedStrategy.Zero3)]
    public void Ranks_that_NCCL_connects_train_bit_for_bit_what_others_do(DistributedStrategy strategy)
    {
        AssertSame(Train("rope", 3, strategy), Train("rope", 3, strategy, run: NcclStandIn.Run));
        AssertSame(Train("rope", 3, strategy, batches: 2), Train("rope", 3, strategy, batches: 2, run: NcclStandIn.Run));
    }

    [Theory]
    [InlineData(DistributedStrategy.DataParallel, false)]
    [InlineData(DistributedStrategy.Zero2, false)]
    [InlineData(DistributedStrategy.DataParallel, true)]
    [InlineData(DistributedStrategy.Zero2, true)]
    public void Reductions_begin_before_the_backward_pass_has_ended_the_last_block_s_first(DistributedStrategy strategy, bool byNccl)
    {
        using var folder = new TemporaryFolder();
        TransformerModel[] models = [.. Models("rope", 2, Tiny.Models["rope"])];
        (byNccl ? (Action<int, Action<ICollective>>)NcclStandIn.Run : Threads.Run)(2, rank =>
        {
            using var scope = NewDisposeScope();
            using var model = models[rank.Rank];
            using var space = new ParameterSpace(model, ranks: rank, strategy: strategy);
            using var optimizer = Optimizer.FromConfig(Config.Optimizer, space);
            var profile = new StepProfile();
            for (var step = 0; step <= StepProfile.WarmUp; step++)
                new TrainingStep(model, space, optimizer, Config) { Profile = profile.BeginsStep() ? profile : null }.Run(1, [Draw(step)]);
            if (rank.Rank == 0) profile.WriteTrace(folder["trace.json"]);
        });

        var events = JsonNode.Parse(File.ReadAllText(folder["trace.json"]))!["traceEvents"]!.AsArray().Select(happened => happened!)
            .ToList();
        var backward = events.Single(happened => (string)happened["name"]! == "backward pass");
        var reductions = events.Where(happened => (int)happened["tid"]! == 1).ToList();
        string[] blocks = ["reduction of model.layers.1", "reduction of model.layers.0"];
        Assert.Equal(blocks, reductions.Select(happened => (string)happened["name"]!).Where(blocks.Contains));
        var end = (double)backward["ts"]! + (double)backward["dur"]!;
        Assert.All(
            reductions.Where(happened => blocks.Contains((string)happened["name"]!)), happened =>
                Assert.InRange((double)happened["ts"]!, (double)backward["ts"]!, end));
    }

    private static void AssertSame(Outcome plain, Outcome sharded)
    {
        Assert.Equal(plain.Results, sharded.Results);
        foreach (var (name, value) in plain.Weights) Near.Equal(value, sharded.Weights[name], 0, name);
    }

    private static void AssertNear(Outcome one, Outcome several)
    {
        for (var step = 0; step < Steps; step++)
        {
            Near.Equal(one.Results[step].Loss, several.Results[step].Loss, 1e-5, $"loss of step {step}");
            Near.Equal(
                one.Results[step].GradientNorm, several.Results[step].GradientNorm, 1e-4 * Math.Max(1, one.Results[step].GradientNorm),
                $"norm of step {step}");
        }
        foreach (var (name, value) in one.Weights) Near.Equal(value, several.Weights[name], 1e-5, name);
    }

    private static Outcome Train(
        string kind, int ranks, DistributedStrategy strategy, TrainingConfig? config = null, int batches = 1, Func<int, Batch>? draw = null,
        Action<int, Action<ICollective>>? run = null)
    {
        config ??= Config;
        TransformerModel[] models = [.. Models(kind, ranks, Tiny.Models[kind])];
        var (results, weights) = (new TrainingStep.Result[ranks][], new Dictionary<string, Tensor>());
        (run ?? Threads.Run)(ranks, rank =>
        {
            var model = models[rank.Rank];
            using var space = new ParameterSpace(model, config.Parameters, rank, strategy);
            using var optimizer = Optimizer.FromConfig(config.Optimizer, space);
            results[rank.Rank] = [.. Enumerable.Range(0, Steps).Select(step =>
                new TrainingStep(model, space, optimizer, config)
                    .Run(1, [.. Enumerable.Range(0, batches).Select(batch => (draw ?? Draw)(step * batches + batch))]))];
            space.WithFullParameters(() =>
            {
                if (rank.Rank == 0) foreach (var (name, value) in model.Weights) weights[name] = value.detach().clone();
            });
        });
        Assert.All(results, result => Assert.Equal(results[0], result));
        foreach (var model in models) model.Dispose();
        return new(results[0], weights);
    }

    // Drawn one after the other: the generator is the process's.
    private static IEnumerable<TransformerModel> Models(string kind, int ranks, ModelConfig config)
    {
        for (var rank = 0; rank < ranks; rank++)
        {
            manual_seed(1);
            yield return config == Tiny.Models[kind] ? Tiny.Model(kind) : new TransformerModel(config);
        }
    }

    private static Batch Draw(int seed)
    {
        var random = new Random(seed);
        var ids = Enumerable.Range(0, Rows * (Tokens + 1)).Select(_ => (long)random.Next(Tiny.Config.VocabularySize!.Value)).ToArray();
        return new Batch(
            [.. ids.Chunk(Tokens + 1).SelectMany(row => row[..^1])], [.. ids.Chunk(Tokens + 1).SelectMany(row => row[1..])], Rows, Tokens);
    }

    private sealed record Outcome(TrainingStep.Result[] Results, Dictionary<string, Tensor> Weights);
}
