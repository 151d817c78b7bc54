using Transformer.Configuration;
using Transformer.Layers.Memory;
using Transformer.Model;
using static TorchSharp.torch;

namespace Transformer.Tests.Layers.Memory;

/// <summary>Recurrent and associative memory against the authors' code; tolerances are those of the goldens.</summary>
public sealed class MemoryGoldenTests
{
    private const int Segment = MemoryGolden.Segment;
    private const double Logits = 3e-5, Gradient = 1e-6, AssociativeLogits = 5e-5, AssociativeState = 2e-4, AssociativeGradient = 3e-5;

    [Theory]
    [InlineData("rmt/gpt2")]
    [InlineData("rmt/gpt2_wrap_pos")]
    [InlineData("rmt/llama")]
    public void Segments_and_memory_tokens_are_the_reference_s(string folder)
    {
        using var scope = NewDisposeScope();
        var golden = new MemoryGolden(folder);
        using var model = golden.Build();
        SegmentMemory? memory = null;
        for (var segment = 0; segment < MemoryGolden.Segments; segment++)
        {
            (var hidden, memory) = model.Continue(golden.Ids.narrow(1, segment * Segment, Segment), memory);
            Near.Equal(golden.Expected[$"segment{segment}.logits"], model.Logits(hidden), Logits, $"logits of segment {segment}");
            Near.Equal(golden.Expected[$"segment{segment}.memory_after"], memory.Of(model)![0], Logits, $"memory after segment {segment}");
        }
        Near.Equal(golden.Expected["loss"].item<float>(), golden.Loss(model.Logits(model.Hidden(golden.Ids))).item<float>(), 1e-5, "loss");
    }

    [Theory]
    [InlineData("rmt/gpt2", null, "full")]
    [InlineData("rmt/gpt2", 1, "cut_every_1")]
    [InlineData("rmt/gpt2", 2, "cut_every_2")]
    [InlineData("rmt/gpt2_wrap_pos", null, "full")]
    [InlineData("rmt/llama", null, "full")]
    public void Gradients_through_memory_tokens_are_the_reference_s_wherever_they_are_cut(string folder, int? segments, string way)
    {
        using var scope = NewDisposeScope();
        var golden = new MemoryGolden(folder);
        using var model = golden.Build();
        Backward(golden, model, segments);
        var expected = Golden.Read($"memory/{folder}/grads.safetensors");
        Near.Equal(expected[$"{way}.memory"], model.Weight(MemoryConfig.TokensName).grad!, Gradient, "memory");
        Near.Equal(expected[$"{way}.{golden.FirstQueries}"], golden.GradientOfFirstQueries(model), Gradient, golden.FirstQueries);
    }

    [Theory]
    [InlineData("armt/gpt2")]
    [InlineData("armt/gpt2_wrap_pos")]
    [InlineData("armt/llama")]
    public void Segments_and_associations_are_the_reference_s(string folder)
    {
        using var scope = NewDisposeScope();
        var golden = new MemoryGolden(folder);
        using var model = golden.Build();
        AssociativeMemory[] layers = [.. model.modules().OfType<AssociativeMemory>()];
        SegmentMemory? memory = null;
        for (var segment = 0; golden.Expected.ContainsKey($"segment{segment}.logits"); segment++)
        {
            (var hidden, memory) = model.Continue(golden.Ids.narrow(1, segment * Segment, Segment), memory);
            Near.Equal(golden.Expected[$"segment{segment}.logits"], model.Logits(hidden), AssociativeLogits, $"logits of {segment}");
            for (var layer = 0; layer < layers.Length; layer++)
            {
                var (name, found) = ($"segment{segment}.layer{layer}", memory.Of(layers[layer])!);
                Near.Equal(golden.Expected[$"{name}.A_after"], found[0], AssociativeState, $"{name}.A");
                Near.Equal(golden.Expected[$"{name}.z_after"], found[1], AssociativeState, $"{name}.z");
            }
        }
    }

    [Theory]
    [InlineData("armt/gpt2", "transformer.h")]
    [InlineData("armt/llama", "model.layers")]
    public void Gradients_through_associations_are_the_reference_s(string folder, string blocks)
    {
        using var scope = NewDisposeScope();
        var golden = new MemoryGolden(folder);
        using var model = golden.Build();
        Backward(golden, model, backpropagationSegments: null);
        Near.Equal(golden.Expected["grad.memory"], model.Weight(MemoryConfig.TokensName).grad!, AssociativeGradient, "memory");
        foreach (var (layer, name) in (ReadOnlySpan<(int, string)>)[
            (0, "q_proj.weight"), (0, "k_proj.weight"), (0, "v_proj.weight"), (0, "b_proj.weight"), (0, "b_proj.bias"),
            (1, "k_proj.weight")])
        {
            Near.Equal(
                golden.Expected[$"grad.{blocks}.{layer}.W_m{name[0]}.{name.Split('.')[1]}"],
                model.Weight($"model.layers.{layer}.memory.{name}").grad!, AssociativeGradient, $"{name} of block {layer}");
        }
    }

    private static void Backward(MemoryGolden golden, TransformerModel model, int? backpropagationSegments)
    {
        var (hidden, _, memory) = model.HiddenAndPenalty(golden.Ids, memory: null, starts: null, backpropagationSegments);
        golden.Loss(model.Logits(hidden)).backward();
        memory.Dispose();
    }
}
