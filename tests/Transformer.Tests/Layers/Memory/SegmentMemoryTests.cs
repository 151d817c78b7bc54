using Transformer.Configuration;
using Transformer.Layers.Memory;
using static TorchSharp.torch;

namespace Transformer.Tests.Layers.Memory;

/// <summary>What every kind of memory must do, and the controls that tell it from none.</summary>
public sealed class SegmentMemoryTests
{
    private const int Segment = 5;

    public SegmentMemoryTests() => manual_seed(4);

    public static TheoryData<string> Kinds => [.. Tiny.Segmented.Keys];

    [Theory, MemberData(nameof(Kinds))]
    public void A_segment_depends_on_the_one_before_it_by_its_memory_alone(string kind)
    {
        using var _ = no_grad();
        using var model = Tiny.Model(kind);
        var (first, other, second) = (Tiny.Ids(2, Segment), Tiny.Ids(2, Segment), Tiny.Ids(2, Segment));
        using var memory = model.Continue(first, null).Memory;
        using var another = model.Continue(other, null).Memory;
        var (hidden, changed) = (model.Continue(second, memory).Hidden, model.Continue(second, another).Hidden);
        // Memory tokens that do not write never see the words, unless the mixers remember them.
        var writes = model.Config.Memory is not RecurrentMemoryConfig { Write: false } || model.Config.Attention!.CarriesMemory;
        Assert.Equal(writes, Near.Distance(hidden, changed) > 1e-3);
        Near.Equal(model.Continue(second, memory.Zeroed()).Hidden, model.Continue(second, another.Zeroed()).Hidden, 0);
        Assert.True(Near.Distance(hidden, model.Continue(second, memory.Zeroed()).Hidden) > 1e-3);
    }

    [Theory, MemberData(nameof(Kinds))]
    public void Segments_one_by_one_are_the_whole_text_in_values_and_what_is_remembered_has_one_size(string kind)
    {
        using var _ = no_grad();
        using var model = Tiny.Model(kind);
        var ids = Tiny.Ids(2, 6 * Segment);
        SegmentMemory? memory = null;
        var parts = new List<Tensor>();
        var sizes = new List<long>();
        foreach (var segment in ids.split(Segment, 1))
        {
            (var hidden, memory) = model.Continue(segment, memory);
            parts.Add(hidden);
            sizes.Add(memory.All.Sum(entry => entry.Tensors.Sum(value => value.numel())));
        }
        Near.Equal(model.Hidden(ids), cat(parts, 1), 0);
        Assert.Single(sizes[2..].Distinct());
    }

    [Theory]
    [InlineData("recurrent memory", true)]
    [InlineData("associative memory", true)]
    [InlineData("transformer_xl", false)]
    public void Gradients_cross_as_many_segments_as_they_may(string kind, bool crosses)
    {
        using var scope = NewDisposeScope();
        using var model = Tiny.Model(kind);
        var embedding = model.Weight("model.embed_tokens.weight");
        foreach (var (cut, reached) in new[] { ((int?)null, crosses), (1, false), (2, crosses), (3, crosses) })
        {
            // Only the first segment has the token 0, and only the loss of the second one counts.
            embedding.grad = zeros_like(embedding);
            var ids = cat([zeros(1, Segment, ScalarType.Int64), ones(1, Segment, ScalarType.Int64)], 1);
            var (hidden, _, memory) = model.HiddenAndPenalty(ids, null, null, cut);
            using (memory) hidden.narrow(1, Segment, Segment).square().sum().backward();
            Assert.Equal(reached, embedding.grad[0].abs().max().item<float>() > 0);
        }
    }

    [Theory, MemberData(nameof(Kinds))]
    public void Rows_that_begin_new_texts_are_as_if_nothing_had_been_read(string kind)
    {
        using var _ = no_grad();
        using var model = Tiny.Model(kind);
        var (old, ids) = (Tiny.Ids(3, 3 * Segment), Tiny.Ids(3, 2 * Segment));
        using var memory = model.Continue(old, null).Memory;
        var (hidden, _) = model.Continue(ids, memory, [true, false, false, true, false, false]);
        var fresh = model.Hidden(ids);
        Near.Equal(fresh[0], hidden[0], 2e-5, "from the first segment on");
        Near.Equal(model.Hidden(ids.narrow(1, Segment, Segment))[1], hidden[1].narrow(0, Segment, Segment), 2e-5, "from the second on");
        Near.Equal(model.Hidden(cat([old, ids], 1))[2].narrow(0, 3 * Segment, 2 * Segment), hidden[2], 2e-5, "not at all");
    }
}
