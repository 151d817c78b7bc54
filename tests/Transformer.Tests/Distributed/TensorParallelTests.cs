using TorchSharp;
using Transformer.Configuration;
using Transformer.Distributed;
using Transformer.Layers;
using Transformer.Model;
using Transformer.Native;
using Transformer.Runs;
using Transformer.Training;
using static TorchSharp.torch;

namespace Transformer.Tests.Distributed;

/// <summary>Ranks that divide heads and hidden units compute the same as one process with all of them.</summary>
public sealed class TensorParallelTests
{
    private const int Steps = 3;

    // A large epsilon makes the step follow the size of the gradient, so that nearly equal gradients give nearly equal steps; all steps are
    // clipped.
    private static readonly TrainingConfig Config = new()
    {
        Steps = Steps,
        BatchSize = TensorCases.Rows,
        ZLoss = 1e-4,
        GradientClip = 0.1,
        Optimizer = new AdamWConfig { LearningRate = 0.1, Epsilon = 1, WeightDecay = 0.1 },
    };

    public static TheoryData<string> Kinds => TensorCases.Kinds;

    public static TheoryData<string> Splits => new("rope", "four ranks", "biases and norms of queries and keys", "four ranks with experts");

    [Theory, MemberData(nameof(Kinds))]
    public void Logits_loss_every_gradient_and_the_weights_after_clipped_steps_are_those_of_one_process(string kind)
    {
        // Changing weights by half their last bit, in one process, changes these gradients as much as dividing the model does: those of
        // dpfp, whose sums come near zero after another layer, by 6e-4, and that of q_proj under negative eigenvalues, whose state does not
        // decay, by 2.8e-5, the most of twelve draws, and in one later run by 6.9e-5. Without either it is below 8e-6. Associative memory
        // divides by sums that begin at 1e-5. Gated delta rules under recurrent memory pass what they magnify from segment to segment:
        // 1.2e-4.
        var isSensitive = kind.EndsWith("delta, negative eigenvalues", StringComparison.Ordinal)
            || Tiny.Models.GetValueOrDefault(kind)?.Memory is AssociativeMemoryConfig;
        var tolerance = kind is "hybrid" or "recurrent memory over transformer_xl and gated_delta" ? 1e-3 : isSensitive ? 2e-4 : 1e-5;
        AssertNear(Train(kind, 1), Train(kind, TensorCases.Models[kind].Ranks), tolerance);
    }

    [Theory, MemberData(nameof(Splits))]
    public void Blocks_that_are_computed_again_and_batches_that_are_added_up_change_nothing(string kind)
    {
        var config = Config with { ActivationCheckpointing = true };
        AssertNear(Train(kind, 1, config, batches: 2), Train(kind, TensorCases.Models[kind].Ranks, config, batches: 2));
    }

    [Fact]
    public void Frozen_parameters_stay_and_the_others_train_as_in_one_process()
    {
        var config = Config with
        {
            Parameters = [
            new ParameterRule { Pattern = "*.down_proj.*", Frozen = true }, new ParameterRule { Pattern = "*embed*", Frozen = true }]
        };
        AssertNear(Train("biases and norms of queries and keys", 1, config), Train("biases and norms of queries and keys", 2, config));
    }

    [Theory]
    [InlineData(Precision.Bf16, 0.05)]
    [InlineData(Precision.Fp16, 0.005)]
    public void In_16_bits_the_gradient_is_as_near_to_that_of_fp32_as_one_process_s(Precision precision, double tolerance)
    {
        var (exact, one, two) = (
            Train("mlp gelu", 1), Train("mlp gelu", 1, precision: precision), Train("mlp gelu", 2, precision: precision));
        Assert.NotEqual(exact.Results[0].Loss, two.Results[0].Loss);    // else nothing was rounded
        foreach (var found in (Outcome[])[one, two])
            Near.Equal(1, found.Results[0].GradientNorm / exact.Results[0].GradientNorm, tolerance, "norm of the gradient");
        Near.Equal(one.Results[0].Loss, two.Results[0].Loss, tolerance, "loss");
    }

    [Theory]
    [InlineData(false, 2)]
    [InlineData(true, 4)]
    public void A_block_costs_two_sums_over_the_ranks_going_forward_and_two_going_backward_or_four_where_it_is_computed_again(
        bool isComputedAgain, int backward)
    {
        var counts = new int[2][];
        TransformerModel[] models = [TensorCases.Draw("rope", 0), TensorCases.Draw("rope", 1)];
        Threads.Run(2, rank =>
        {
            var counting = new Counting(rank);
            using var share = TensorParallelModel.ShareOf(models[rank.Rank], new TensorParallelGroup(counting));
            using var recomputation = isComputedAgain ? new Recomputation() : null;
            var hidden = share.HiddenAndPenalty(TensorCases.Ids(), recomputation).Hidden;
            var before = counting.Sums;
            hidden.sum().backward();
            counts[rank.Rank] = [before, counting.Sums - before];
        });
        var blocks = Tiny.Config.Layers.Blocks;
        Assert.All(counts, count => Assert.Equal([2 * blocks, backward * blocks], count));
    }

    [Theory, MemberData(nameof(Splits))]
    public void Steps_leave_no_live_tensor_behind(string kind) => TensorCases.OnShares(kind, TensorCases.Models[kind].Ranks, (_, model) =>
    {
        using var space = new ParameterSpace(model);
        using var optimizer = Optimizer.FromConfig(Config.Optimizer, space);
        var step = new TrainingStep(model, space, optimizer, Config);
        for (var warmUp = 0; warmUp < 3; warmUp++) step.Run(1, [TensorCases.Batch(0)]);
        var before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        for (var again = 0; again < 3; again++) step.Run(1, [TensorCases.Batch(0)]);
        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    });

    [Fact]
    public void An_embedding_a_norm_and_a_head_stay_the_same_on_all_ranks_to_the_last_bit()
    {
        const string kind = "biases and norms of queries and keys";
        var weights = new Dictionary<string, Tensor>[2];
        TensorCases.OnShares(kind, 2, (rank, share) =>
        {
            Take(share, Config, batches: 1);
            weights[rank] = share.Weights.Where(weight => share.ParameterSpecs[weight.Name].SplitDimension is null)
                .ToDictionary(weight => weight.Name, weight => weight.Value.detach().clone());
        });
        Assert.Contains("lm_head.weight", weights[0].Keys);
        Assert.Contains("model.layers.1.self_attn.q_norm.weight", weights[0].Keys);
        foreach (var (name, value) in weights[0]) Near.Equal(value, weights[1][name], 0, name);
    }

    private static void AssertNear(Outcome one, Outcome several, double gradients = 1e-5)
    {
        Near.Equal(one.Logits, several.Logits, 1e-5 * Math.Max(1, one.Logits.abs().max().item<float>()), "logits");
        foreach (var (name, gradient) in one.Gradients)
            Near.Equal(
                gradient, several.Gradients[name], gradients * Math.Max(1, gradient.abs().max().item<float>()), $"gradient of {name}");
        for (var step = 0; step < Steps; step++)
        {
            Near.Equal(
                one.Results[step].Loss, several.Results[step].Loss, 1e-5 * Math.Max(1, one.Results[step].Loss), $"loss of step {step}");
            Near.Equal(1, several.Results[step].GradientNorm / one.Results[step].GradientNorm, 1e-4, $"norm of step {step}");
            Assert.True(one.Results[step].GradientNorm > Config.GradientClip, "nothing was clipped");
        }
        foreach (var (name, value) in one.Weights) Near.Equal(value, several.Weights[name], 1e-5, name);
    }

    private static Outcome Train(
        string kind, int ranks, TrainingConfig? config = null, int batches = 1, Precision precision = Precision.Fp32)
    {
        config ??= Config;
        var outcomes = new Outcome[ranks];
        TensorCases.OnShares(kind, ranks, (rank, model) =>
        {
            model.Precision = precision;
            Tensor logits;
            using (no_grad()) logits = model.call(TensorCases.Ids(), null).DetachFromDisposeScope();
            outcomes[rank] = Take(model, config, batches) with { Logits = logits };
        });
        Assert.All(outcomes, outcome => Assert.Equal(outcomes[0].Results, outcome.Results));
        return outcomes[0];
    }

    // The gradients of the first step and the weights after the last one, of the whole model.
    private static Outcome Take(TransformerModel model, TrainingConfig config, int batches)
    {
        using var space = new ParameterSpace(model, config.Parameters);
        using var optimizer = Optimizer.FromConfig(config.Optimizer, space);
        var step = new TrainingStep(model, space, optimizer, config);
        space.Backward(isLast: true, () =>
        {
            using var recomputation = config.ActivationCheckpointing ? new Recomputation() : null;
            var (hidden, penalty) = model.HiddenAndPenalty(TensorCases.Ids(), recomputation);
            var (loss, total) = model.Loss(hidden, TensorCases.Ids(), config.ZLoss);
            (penalty is null ? total : total + penalty).backward();
            recomputation?.ThrowIfFailed();
            model.TensorParallelGroup?.ThrowIfFailed();
            return loss.item<float>();
        });
        var gradients = Whole(model, space.Parameters.Select(parameter => (parameter.Name, parameter.Gradient!)));
        space.ZeroGradients();
        TrainingStep.Result[] results = [.. Enumerable.Range(0, Steps)
            .Select(at => step.Run(1, [.. Enumerable.Range(0, batches).Select(batch => TensorCases.Batch(at * batches + batch))]))];
        return new(results, gradients, Whole(model, model.Weights), zeros(1));
    }

    private static Dictionary<string, Tensor> Whole(TransformerModel model, IEnumerable<(string Name, Tensor Value)> parts) =>
        parts.ToDictionary(
        part => part.Name, part => (model.TensorParallelGroup is { } group
            ? TensorParallelSplit.Join(model.ParameterSpecs[part.Name], part.Value, group)
            : part.Value).detach().clone().DetachFromDisposeScope());

    // Counts the sums of a rank.
    private sealed class Counting(ICollective ranks) : ICollective
    {
        public int Sums { get; private set; }

        public int Rank => ranks.Rank;

        public int Ranks => ranks.Ranks;

        public string CurrentOperation { get; set; } = "";

        public CollectiveWork ReduceScatter(Tensor buffer)
        {
            Sums++;
            return ranks.ReduceScatter(buffer);
        }

        public CollectiveWork AllGather(Tensor buffer) => ranks.AllGather(buffer);

        public void Broadcast(Tensor tensor, int root) => ranks.Broadcast(tensor, root);

        public void Abort(int code) => ranks.Abort(code);

        public void Dispose() => ranks.Dispose();
    }

    private sealed record Outcome(
        TrainingStep.Result[] Results, Dictionary<string, Tensor> Gradients, Dictionary<string, Tensor> Weights, Tensor Logits);
}
