using Transformer.Layers.Attention;
using Transformer.Reproductions;
using static TorchSharp.torch;

namespace Transformer.Tests.Reproductions;

public sealed class AssociativeRetrievalTests
{
    [Theory]
    [InlineData(RetrievalRule.Softmax)]
    [InlineData(RetrievalRule.Elu)]
    [InlineData(RetrievalRule.Dpfp1)]
    [InlineData(RetrievalRule.Dpfp2)]
    public void A_memory_with_room_for_all_keys_is_solved(RetrievalRule rule) =>
        Assert.InRange(Run(rule, replacement: false, keys: 10, maximumSteps: 3000).Loss, 0, 1e-3);

    [Fact]
    public void A_memory_with_fewer_features_than_keys_is_not()
    {
        var result = Run(RetrievalRule.Elu, replacement: false, keys: 100, maximumSteps: 700);
        Assert.InRange(result.Loss, 0.1, 0.35);
        Assert.Equal((0.164, 700), (result.Published, result.Steps));
    }

    [Fact]
    public void Keys_that_come_again_are_overwritten_by_the_delta_rule_and_mixed_by_the_sum()
    {
        Assert.InRange(Run(RetrievalRule.Delta, replacement: true, keys: 5, maximumSteps: 2000).Loss, 0, 0.01);
        Assert.InRange(Run(RetrievalRule.Dpfp1, replacement: true, keys: 5, maximumSteps: 800).Loss, 0.05, 0.2);
    }

    [Fact]
    public void The_same_seed_gives_the_same_loss_and_another_one_another()
    {
        double Loss(int seed) =>
            AssociativeRetrieval.Run(RetrievalRule.Elu, false, 10, seed, 100, TestContext.Current.CancellationToken).Loss;
        Assert.Equal(Loss(1), Loss(1));
        Assert.NotEqual(Loss(1), Loss(2));
    }

    // The equations of the paper, one association after the other: keys from both sides' codes, W + v phi(k)^T, and W + beta (v - W
    // phi'(k)) phi'(k)^T with phi' = phi over its sum.
    [Theory]
    [InlineData(RetrievalRule.Elu)]
    [InlineData(RetrievalRule.Dpfp2)]
    [InlineData(RetrievalRule.Delta)]
    public void What_is_read_is_the_paper_s_equations(RetrievalRule rule)
    {
        const int keys = 5;
        using var scope = NewDisposeScope();
        manual_seed(3);
        using var memory = new RetrievalMemory(rule, keys);
        var parameters = memory.named_parameters().ToDictionary(parameter => parameter.name, parameter => (Tensor)parameter.parameter);
        var batch = new RetrievalSequences(keys, replacement: true, length: 9, stream: 4).AllOf(0);

        Tensor Phi(Tensor x) => rule switch
        {
            RetrievalRule.Elu => FeatureMap.Elu(x),
            RetrievalRule.Dpfp2 => FeatureMap.Dpfp(x, 2),
            _ => FeatureMap.Dpfp(x, 1) / FeatureMap.Dpfp(x, 1).sum(),
        };
        Tensor Project(string name, Tensor x) => parameters[$"{name}.weight"].matmul(x) + parameters[$"{name}.bias"];
        Tensor written = 0, sum = 0;
        for (var t = 0; t < 9; t++)
        {
            var v = one_hot(batch.Values[0, t]);
            var x = cat([v, parameters["embedding.weight"][batch.Keys[0, t]]]);
            var k = Phi(Project("writing", x));
            if (rule is RetrievalRule.Delta) v = Project("strength", x).sigmoid() * (t == 0 ? v : v - written.matmul(k));
            written += v.unsqueeze(1) * k;                                                            // [S, F]
            sum += k;
        }
        var read = memory.call(batch.Keys, batch.Values, batch.Queries)[0];                           // [N, S]
        for (var n = 0; n < read.shape[0]; n++)
        {
            var q = Phi(Project("reading", parameters["embedding.weight"][batch.Queries[0, n]]));
            var expected = written.matmul(q);
            Near.Equal(rule is RetrievalRule.Delta ? expected : expected / sum.dot(q), read[n], 1e-5, $"query {n}");
        }

        Tensor one_hot(Tensor id) => nn.functional.one_hot(id, keys).to(ScalarType.Float32);
    }

    [Fact]
    public void A_key_that_came_again_is_asked_for_its_last_value()
    {
        using var scope = NewDisposeScope();
        var sequences = new RetrievalSequences(keys: 3, replacement: true, length: 12, stream: 1);
        var batch = sequences.Rows(0, 50);
        long[] keys = Ids(batch.Keys), values = Ids(batch.Values), queries = Ids(batch.Queries), answers = Ids(batch.Answers);
        for (var row = 0; row < 50; row++)
            Assert.Equal(values[(12 * row) + Array.LastIndexOf(keys[(12 * row)..(12 * (row + 1))], queries[row])], answers[row]);

        var distinct = new RetrievalSequences(keys: 7, replacement: false, length: 7, stream: 1).AllOf(5);
        Assert.Equal([0, 1, 2, 3, 4, 5, 6], Ids(distinct.Keys).Order());
        Assert.Equal([0, 1, 2, 3, 4, 5, 6], Ids(distinct.Values).Order());
        Assert.Equal(Ids(distinct.Values), Ids(distinct.Answers));
    }

    private static long[] Ids(Tensor x) => x.data<long>().ToArray();

    private static AssociativeRetrieval Run(RetrievalRule rule, bool replacement, int keys, int maximumSteps) =>
        AssociativeRetrieval.Run(rule, replacement, keys, seed: 1, maximumSteps, TestContext.Current.CancellationToken);
}
