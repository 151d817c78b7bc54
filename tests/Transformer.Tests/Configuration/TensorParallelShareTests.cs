using Transformer.Configuration;
using Transformer.Distributed;
using Transformer.Layers;
using Transformer.Model;
using Transformer.Runs;
using Transformer.Tests.Distributed;
using Transformer.Training;
using static TorchSharp.torch;

namespace Transformer.Tests.Configuration;

/// <summary>The part of a model on each rank of a tensor-parallel group, and the models that cannot be split.</summary>
public sealed class TensorParallelShareTests
{
    public static TheoryData<string> Kinds => TensorCases.Kinds;

    [Theory, MemberData(nameof(Kinds))]
    public void The_whole_model_is_larger_in_just_the_dimension_that_is_said_to_be_split(string kind)
    {
        var (config, ranks) = TensorCases.Models[kind];
        using var whole = new TransformerModel(config);
        Threads.Run(ranks, rank =>
        {
            using var share = TensorParallelModel.Empty(config, new TensorParallelGroup(rank));
            Assert.Equal(whole.Weights.Select(weight => (weight.Name, string.Join(' ', weight.Value.shape))), share.Weights.Select(weight =>
                (weight.Name, string.Join(' ', weight.Value.shape.Select(
                    (size, dimension) => dimension == share.ParameterSpecs[weight.Name].SplitDimension ? size * ranks : size)))));
        });
    }

    [Theory]
    [InlineData("rope", 2)]
    [InlineData("four ranks", 2)]
    [InlineData("four ranks", 4)]
    [InlineData("four ranks with experts", 4)]
    public void A_rank_keeps_the_bytes_that_the_formula_says(string kind, int ranks)
    {
        var config = TensorCases.Models[kind].Config with { Width = 64, VocabularySize = 64 };
        using var whole = new TransformerModel(config);
        var training = new TrainingConfig { Steps = 1, BatchSize = 1, Optimizer = new AdamWConfig { LearningRate = 0.1 } };
        var (size, bytes) = (new ModelSize(config), new long[ranks]);
        Threads.Run(ranks, rank =>
        {
            using var model = TensorParallelModel.ShareOf(whole, new TensorParallelGroup(rank));
            using var space = new ParameterSpace(model);
            using var optimizer = Optimizer.FromConfig(training.Optimizer, space);
            bytes[rank.Rank] = ((Tensor[])[space.Values, space.Gradients, .. optimizer.State.Select(state => state.Value)])
                .Sum(tensor => tensor.numel() * tensor.element_size());
            Assert.Equal(size.ShareOf(ranks).Parameters, model.parameters().Sum(parameter => parameter.numel()));
        });
        double expected = RankMemory.Bytes(size, training, DistributedStrategy.TensorParallel, ranks);
        Assert.All(bytes, found => Assert.InRange(found, 0.98 * expected, 1.02 * expected));
        Assert.InRange(
            expected, 16 * whole.parameters().Sum(parameter => parameter.numel()) / ranks,
            16 * whole.parameters().Sum(parameter => parameter.numel()));
    }

    [Theory]
    [InlineData("adaptive")]
    [InlineData("dynamic")]
    public void Ranks_tell_the_spans_of_all_heads(string kind)
    {
        using var one = TensorCases.Draw(kind, rank: 0);
        var expected = one.MeanSpans(TensorCases.Ids())!;
        Assert.Equal(Tiny.Config.Layers, expected.Count(spans => spans.Count == 4 && spans.Distinct().Count() > 1));
        TensorCases.OnShares(kind, 2, (_, share) => Assert.All(share.MeanSpans(TensorCases.Ids())!.Zip(expected), layer =>
            Near.Equal(tensor(layer.Second.ToArray()), tensor(layer.First.ToArray()), 1e-5, "spans")));
    }

    [Fact]
    public void A_share_keeps_its_part_of_the_keys_and_values()
    {
        using var whole = new TransformerModel(TensorCases.Models["four ranks"].Config);
        using var state = whole.NewState(rows: 2);
        Threads.Run(4, rank =>
        {
            using var share = TensorParallelModel.ShareOf(whole, new TensorParallelGroup(rank));
            using var own = share.NewState(rows: 2);
            Assert.Equal(state.Bytes, 4 * own.Bytes);
        });
    }

    [Theory]
    [InlineData(3, "{kind: softmax, heads: 4}", "model.attention.heads: 3 ranks cannot share 4 heads equally")]
    [InlineData(2, "{kind: softmax, heads: 4, kv_heads: 1}", "model.attention.kv_heads: 2 ranks cannot share 1 key/value heads equally")]
    [InlineData(4, "{kind: linear, heads: 2}", "model.attention.heads: 4 ranks cannot share 2 heads equally")]
    public void Heads_that_ranks_cannot_share_are_refused_by_name(int ranks, string attention, string problem)
    {
        var run = Parse($"model.attention={attention}");
        Assert.Contains(problem, Assert.Throws<InputException>(() => TensorParallelShare.Check(run.Model, ranks)).Message);
    }

    [Theory]
    [InlineData("model.attention.dropout=0.1", "model.attention.dropout: found 0.1, but under tensor_parallel")]
    [InlineData(
        "model={width: 16, context_length: 16, layers: 1, position: {kind: none}, attention: {kind: convolution}}",
        "model.attention.kind: a convolution alone has no heads for tensor_parallel to split")]
    [InlineData("training.optimizer={kind: muon, learning_rate: 1.0e-2}", "training.distributed.strategy: " +
        "a shard ends in the middle of matrices, which muon needs whole")]
    public void What_tensor_parallelism_has_no_meaning_for_is_refused_by_name(string set, string problem) =>
        Assert.Contains(problem, Assert.Throws<InputException>(() => Parse(set)).Message);

    [Fact]
    public void Hidden_units_that_ranks_cannot_share_are_refused_by_name() =>
        Assert.Contains(
            "model.mlp.hidden: 2 ranks cannot share 15 hidden units equally",
            Assert.Throws<InputException>(() => TensorParallelShare.Check(Parse("model.mlp={kind: gelu, hidden: 15}").Model, 2)).Message);

    private static RunConfig Parse(string set) => ConfigFile.Parse(
        """
        model: {width: 16, context_length: 16, layers: 1, attention: {kind: softmax, heads: 4}}
        data: {path: corpus.txt, tokenizer: {kind: character}}
        training: {steps: 1, batch_size: 1, optimizer: {kind: adamw, learning_rate: 1.0e-2}, distributed: {strategy: tensor_parallel}}
        """, "test", [set]);
}
