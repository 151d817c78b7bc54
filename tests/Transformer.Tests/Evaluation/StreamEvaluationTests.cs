using Transformer.Data;
using Transformer.Evaluation;
using Transformer.Model;
using static TorchSharp.torch;

namespace Transformer.Tests.Evaluation;

public sealed class StreamEvaluationTests
{
    private const int Tokens = 23;    // four segments of five, and two tokens of a fifth

    public static TheoryData<string> Models => [.. Tiny.Segmented.Keys];

    // One pass over the whole text computes the same.
    [Theory]
    [MemberData(nameof(Models))]
    public void A_model_with_memory_reads_segments_that_go_on_from_each_other(string name)
    {
        using var scope = NewDisposeScope();
        using var model = Tiny.Model(name);
        var text = Text();
        var each = Losses(model, text, ids => model.Continue(ids, null).Hidden);
        Near.Equal(each, Measured(model, text), 1e-4);
    }

    [Fact]
    public void A_model_without_memory_reads_windows_of_its_context()
    {
        using var scope = NewDisposeScope();
        using var model = Tiny.Stir(new TransformerModel(Tiny.Config with { ContextLength = 5 }));
        var text = Text();
        var each = cat([.. Enumerable.Range(0, 5).Select(
            window => Losses(model, text[(5 * window)..Math.Min(5 * window + 6, Tokens)], ids => model.Hidden(ids)))]);
        Near.Equal(each, Measured(model, text), 1e-5);
    }

    [Fact]
    public void The_control_forgets_before_each_segment()
    {
        using var scope = NewDisposeScope();
        using var model = Tiny.Model("recurrent memory");
        var text = Text();
        var (whole, control) = (Measured(model, text), Measured(model, text, withoutMemory: true));
        Near.Equal(whole[..5], control[..5], 1e-6);
        Assert.True(Near.Distance(whole[5..], control[5..]) > 1e-3);
    }

    [Fact]
    public void A_text_can_be_read_in_part()
    {
        using var scope = NewDisposeScope();
        using var model = Tiny.Model("transformer_xl");
        var text = Text();
        Near.Equal(Measured(model, text)[..7], Measured(model, text, length: 8), 1e-6);
    }

    [Fact]
    public void Means_are_those_of_places_parts_and_beginnings()
    {
        var stream = new StreamEvaluation([9, 9, 9, 1, 2, 3, 3, 4, 5, 5], Segment: 3);
        Assert.Equal(5, stream.Loss, 1e-6);
        Assert.Equal([3, 3, 4], stream.ByPlace());            // without the first segment
        Assert.Equal([6, 4], stream.ByPart(2));
        var (loss, interval) = stream.AtBeginnings(2);        // 1.5 and 3.5; the last segment is too short
        Assert.Equal((2.5, 1.96), (loss, Math.Round(interval, 6)));
    }

    private static int[] Text() => [.. Tiny.Ids(1, Tokens).data<long>().Select(id => (int)id)];

    private static Tensor Measured(TransformerModel model, int[] text, long? length = null, bool withoutMemory = false)
    {
        using var tokens = new TokenArray(text);
        return tensor(StreamEvaluation.Measure(model, tokens, length, withoutMemory).Losses.ToArray());
    }

    private static Tensor Losses(TransformerModel model, int[] text, Func<Tensor, Tensor> hidden)
    {
        using var _ = no_grad();
        var ids = tensor(text.Select(id => (long)id).ToArray()).unsqueeze(0);
        return nn.functional.cross_entropy(
            model.Logits(hidden(ids[.., ..^1]))[0], ids[0, 1..], reduction: nn.Reduction.None);
    }
}
