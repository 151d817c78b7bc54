using Transformer.Configuration;
using Transformer.Layers.Attention;
using Transformer.Model;
using static TorchSharp.torch;

namespace Transformer.Tests.Layers.Attention;

/// <summary>The invariants of Transformer-XL, and its fast form against the plain one.</summary>
public sealed class TransformerXlAttentionTests
{
    private const int Segment = 5, Segments = 4;

    public TransformerXlAttentionTests() => manual_seed(3);

    [Theory]
    [InlineData(4, 4)]
    [InlineData(3, 8)]
    [InlineData(1, 6)]
    public void Shifting_is_gathering_by_distance_in_values_and_gradients(int queries, int keys)
    {
        using var scope = NewDisposeScope();
        var products = randn(2, 3, queries, keys).requires_grad_();
        var (places, positions) = (arange(keys - queries, keys), arange(keys));
        var visible = positions <= places.unsqueeze(-1);
        var weights = randn(2, 3, queries, keys);
        Tensor[] gradients = [.. new[]
        {
            TransformerXlAttention.RelativeShift(products.flip(-1)), TransformerXlAttention.ByDistance(products, places, positions),
        }.Select(biases =>
        {
            products.grad = zeros_like(products);
            (biases.masked_fill(visible.logical_not(), 0) * weights).sum().backward();
            return cat([biases.masked_fill(visible.logical_not(), 0).flatten(), products.grad.flatten()]);
        })];
        Near.Equal(gradients[1], gradients[0], 0);
    }

    [Fact]
    public void With_a_memory_of_the_whole_history_segments_have_the_logits_of_one_pass()
    {
        using var _ = no_grad();
        using var model = Build(new TransformerXlAttentionConfig { Heads = 4, MemoryLength = Segment * Segments }, Segment);
        using var whole = Build(new TransformerXlAttentionConfig { Heads = 4, MemoryLength = 1 }, Segment * Segments);
        Tiny.CopyWeights(model, whole);
        var ids = Tiny.Ids(2, Segment * Segments);
        Near.Equal(whole.call(ids, null), model.call(ids, null), 2e-5);
    }

    [Theory]
    [InlineData(3)]
    [InlineData(5)]
    [InlineData(8)]
    public void With_a_fixed_length_segments_are_a_sliding_window(int memory)
    {
        using var _ = no_grad();
        using var model = Build(new TransformerXlAttentionConfig { Heads = 4, MemoryLength = memory, SameLength = true }, Segment);
        using var whole = Build(
            new TransformerXlAttentionConfig { Heads = 4, MemoryLength = memory, SameLength = true }, Segment * Segments);
        Tiny.CopyWeights(model, whole);
        var ids = Tiny.Ids(2, Segment * Segments);
        Near.Equal(whole.call(ids, null), model.call(ids, null), 2e-5);
    }

    [Fact]
    public void What_lies_further_back_than_the_memories_of_all_blocks_changes_nothing_and_what_lies_nearer_does()
    {
        using var _ = no_grad();
        using var model = Build(new TransformerXlAttentionConfig { Heads = 4, MemoryLength = 3, SameLength = true }, Segment);
        var ids = Tiny.Ids(1, Segment * Segments);
        var last = Segment * Segments - 1;
        var reach = Tiny.Config.Layers.Blocks * (3 - 1);    // M keys a block, the query's own among them
        var before = model.call(ids, null)[.., last];
        Near.Equal(before, model.call(Changed(ids, last - reach - 1), null)[.., last], 0);
        Assert.True(Near.Distance(before, model.call(Changed(ids, last - reach), null)[.., last]) > 1e-4);
    }

    [Fact]
    public void A_row_that_begins_a_text_sees_nothing_of_the_one_before_it()
    {
        using var _ = no_grad();
        using var model = Build(new TransformerXlAttentionConfig { Heads = 4, MemoryLength = 7 }, Segment);
        var (old, ids) = (Tiny.Ids(2, 2 * Segment), Tiny.Ids(2, 2 * Segment));
        var (_, memory) = model.Continue(old, null);
        var (hidden, _) = model.Continue(ids, memory, [true, false, false, false]);
        Near.Equal(model.Hidden(ids)[0], hidden[0], 2e-5);
        Near.Equal(model.Hidden(cat([old, ids], 1))[1].narrow(0, 2 * Segment, 2 * Segment), hidden[1], 2e-5);
    }

    private static Tensor Changed(Tensor ids, long place)
    {
        var changed = ids.clone();
        changed[.., place] = (changed[.., place] + 1) % Tiny.Config.VocabularySize!.Value;
        return changed;
    }

    private static TransformerModel Build(TransformerXlAttentionConfig attention, int segment) => Tiny.Stir(new TransformerModel(
        Tiny.Config with { ContextLength = segment, Attention = attention, Position = new NoPositionConfig() }));
}
