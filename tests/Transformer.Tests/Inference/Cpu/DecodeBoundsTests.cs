using Transformer.Configuration;
using Transformer.Inference.Cpu;
using Transformer.Inference.Torch;
using Transformer.Model;
using static TorchSharp.torch;

namespace Transformer.Tests.Inference.Cpu;

// The engine works on memory that nobody guards: what callers and checkpoints may not do to it.
public sealed class DecodeBoundsTests
{
    [Fact]
    public void Tokens_past_the_context_are_refused_and_leave_the_state_as_it_was()
    {
        using var model = Rope();
        using var engine = CpuInferenceModel.TryCreate(model)!;
        using var state = engine.NewState(rows: 1);
        Assert.Contains("13 tokens", Assert.Throws<InputException>(() => engine.Read(state, [0], [13], new int[13])).Message);
        Assert.Equal([0], state.Lengths);
    }

    [Fact]
    public void Requests_that_would_reach_foreign_memory_are_refused_and_leave_the_state_as_it_was()
    {
        using var model = Rope();
        using var engine = CpuInferenceModel.TryCreate(model)!;
        using var other = CpuInferenceModel.TryCreate(model)!;
        using var state = engine.NewState(rows: 2);
        engine.Read(state, [0], [1], [1]);
        Assert.Throws<ArgumentOutOfRangeException>(() => engine.Logits(1));
        Assert.Throws<ArgumentOutOfRangeException>(() => engine.Logits(-1));
        Assert.Throws<ArgumentOutOfRangeException>(() => state.Clear(2));
        Assert.Throws<ArgumentOutOfRangeException>(() => state.Truncate(-1, 0));
        Assert.Throws<ArgumentOutOfRangeException>(() => state.Copy(0, 2));
        Assert.Throws<ArgumentOutOfRangeException>(() => state.Copy(2, 2));
        Assert.Throws<ArgumentOutOfRangeException>(() => engine.Read(state, [2], [1], [1]));
        Assert.Throws<ArgumentException>(() => engine.Read(state, [0, 0], [1, 1], [1, 2]));
        Assert.Throws<ArgumentException>(() => engine.Read(state, [0, 1], [1], [1]));
        Assert.Throws<ArgumentException>(() => other.Read(state, [0], [1], [1]));
        Assert.Equal([1, 0], state.Lengths);
    }

    [Fact]
    public void Learned_spans_beyond_the_greatest_are_the_greatest_in_model_and_engine()
    {
        manual_seed(11);
        using var model = new TransformerModel(Tiny.Models["adaptive"] with { ContextLength = 450 });
        foreach (var (name, span) in model.Weights.Where(weight => weight.Name.EndsWith("window.span", StringComparison.Ordinal)))
            using (no_grad()) span.fill_(name.Contains(".0.", StringComparison.Ordinal) ? 40 : 1);
        using var engine = CpuInferenceModel.TryCreate(model)!;
        using var state = engine.NewState(rows: 1);
        int[] text = [.. Tiny.Ids(1, 420).data<long>().Select(id => (int)id)];
        engine.Read(state, [0], [420], text);
        var wild = engine.Logits(0).ToArray();
        var expected = Logits(model, text);
        for (var i = 0; i < wild.Length; i++) Near.Equal(expected[^(wild.Length - i)], wild[i], 1e-4, $"logit {i}");
        foreach (var (_, span) in model.Weights.Where(weight => weight.Name.EndsWith("window.span", StringComparison.Ordinal)))
            using (no_grad()) span.clamp_(0, 1);
        Assert.Equal(expected, Logits(model, text));
    }

    [Fact]
    public void An_engine_writes_on_when_its_model_is_gone()
    {
        var model = Rope();
        using var engine = CpuInferenceModel.TryCreate(model)!;
        using var state = engine.NewState(rows: 1);
        engine.Read(state, [0], [3], [1, 2, 3]);
        var expected = engine.Logits(0).ToArray();
        model.Dispose();
        state.Clear(0);
        engine.Read(state, [0], [3], [1, 2, 3]);
        Assert.Equal(expected, engine.Logits(0).ToArray());
    }

    [Fact]
    public void A_weight_beyond_half_precision_is_packed_as_the_greatest_half()
    {
        using var model = Rope();
        using (no_grad()) model.Weight("model.layers.0.mlp.up_proj.weight").fill_(1e6f);
        using var engine = CpuInferenceModel.TryCreate(model, WeightFormat.Half)!;
        using var state = engine.NewState(rows: 1);
        engine.Read(state, [0], [1], [1]);
        Assert.DoesNotContain(engine.Logits(0).ToArray(), logit => !float.IsFinite(logit));
    }

    private static TransformerModel Rope()
    {
        manual_seed(11);
        return Tiny.Model("rope");
    }

    private static float[] Logits(TransformerModel model, int[] text)
    {
        using var inference = inference_mode();
        using var scope = NewDisposeScope();
        model.eval();
        return [.. model.forward(tensor(text.Select(token => (long)token).ToArray()).unsqueeze(0), null).flatten().data<float>()];
    }
}
