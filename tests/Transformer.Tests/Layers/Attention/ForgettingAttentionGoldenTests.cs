using Transformer.Configuration;
using Transformer.Layers;
using Transformer.Layers.Attention;
using Transformer.Layers.Positions;
using static TorchSharp.torch;

namespace Transformer.Tests.Layers.Attention;

/// <summary>
/// The naive attention of flash-linear-attention and the layer of forgetting-transformer; tolerances are those of the goldens.
/// </summary>
public sealed class ForgettingAttentionGoldenTests
{
    private const double AttentionTolerance = 2e-5, OutputTolerance = 3e-5, WeightTolerance = 1.6e-4;

    private static readonly Dictionary<string, string> Names = new()
    {
        ["k_proj.weight"] = "k_proj.linear.weight",
        ["v_proj.weight"] = "v_proj.linear.weight",
        ["k_shift_proj.weight"] = "k_proj.shift_proj.weight",
        ["v_shift_proj.weight"] = "v_proj.shift_proj.weight",
        ["o_norm.weight"] = "output_norm.weight",
    };

    [Theory]
    [InlineData("gates_free")]
    [InlineData("gates_strong")]
    [InlineData("gates_one")]
    [InlineData("gates_constant_alibi")]
    [InlineData("grouped_keys")]
    public void Both_forms_of_attention_are_the_reference_s_in_values_and_gradients(string golden)
    {
        using var scope = NewDisposeScope();
        Compare(golden, (q, k, v, f) => ForgettingAttention.Explicit(q, k, v, f, 1 / Math.Sqrt(8), SoftmaxAttention.CausalMask(19, CPU)));
        Compare(golden, (q, k, v, f) => ForgettingAttention.Fused(q, k, v, f, 1 / Math.Sqrt(8)));
    }

    [Fact]
    public void Attention_within_a_window_is_the_reference_s()
    {
        using var scope = NewDisposeScope();
        var mask = SoftmaxAttention.CausalMask(19, CPU).logical_and(ones(19, 19, ScalarType.Bool).triu(-4));
        Compare("window_5", (q, k, v, f) => ForgettingAttention.Explicit(q, k, v, f, 1 / Math.Sqrt(8), mask));
    }

    [Theory]
    [InlineData("llama")]
    [InlineData("llama_rope")]
    [InlineData("pro")]
    [InlineData("pro_shared_qk_norm")]
    [InlineData("gate_without_norm")]
    public void What_attention_makes_of_the_reference_s_queries_keys_values_and_gates_is_the_reference_s(string golden)
    {
        using var scope = NewDisposeScope();
        var file = Golden.Read($"fox/layer/{golden}.safetensors");
        var found = ForgettingAttention.Fused(file["q"], file["k"], file["v"], file["log_f"], 1 / Math.Sqrt(8));
        Near.Equal(file["attention"], found, AttentionTolerance);
    }

    [Theory]
    [InlineData("llama")]
    [InlineData("llama_rope")]
    [InlineData("pro")]
    [InlineData("pro_shared_qk_norm")]
    public void The_layer_is_the_reference_s_in_values_and_gradients(string golden)
    {
        using var scope = NewDisposeScope();
        var file = Golden.Read($"fox/layer/{golden}.safetensors");
        var isPro = golden.StartsWith("pro", StringComparison.Ordinal);
        var config = new ForgettingAttentionConfig { Heads = 3, QueryKeyNorm = isPro, KeyValueShift = isPro, OutputGate = isPro };
        using var layer = new ForgettingAttention(config, width: 24, epsilon: 1e-3);
        using (no_grad())
            foreach (var (name, parameter) in layer.named_parameters()) parameter.copy_(Whole(Its(file, "weight.", name), parameter));
        using var rotary = new RotaryPosition(new RotaryPositionConfig { Theta = 500_000 }, headWidth: 8, length: 13, CPU);
        var context = golden == "llama_rope" ? new ForwardContext { Rotation = rotary.At(0, 13) } : new ForwardContext();
        var x = file["x"].requires_grad_();

        var y = layer.call(x, context, null);
        Near.Equal(file["y"], y, OutputTolerance, "y");
        (file["w"] * y).sum().backward();
        Near.Equal(file["grad_x"], x.grad!, WeightTolerance, "x");
        foreach (var (name, parameter) in layer.named_parameters())
        {
            var gradient = Its(file, "grad.", name);
            var found = parameter.grad!;
            if (gradient.numel() < found.numel()) found = found.view(-1, gradient.numel()).sum([0L]);    // one weight for all heads
            Near.Equal(gradient, found, WeightTolerance, name);
        }
    }

    private static void Compare(string golden, Func<Tensor, Tensor, Tensor, Tensor, Tensor> attend)
    {
        var file = Golden.Read($"fox/attention/{golden}.safetensors");
        Tensor[] inputs = [.. new[] { "q", "k", "v", "log_f" }.Select(name => file[name].clone().requires_grad_())];
        var (q, k, v) = (inputs[0].transpose(1, 2), inputs[1].transpose(1, 2), inputs[2].transpose(1, 2));
        var found = attend(q, k, v, inputs[3].transpose(1, 2)).transpose(1, 2);
        Near.Equal(file["out"], found, AttentionTolerance, "out");
        (file["w"] * found).sum().backward();
        foreach (var (name, input) in new[] { "q", "k", "v", "log_f" }.Zip(inputs))
            Near.Equal(file[$"grad_{name}"], input.grad!, AttentionTolerance, name);
    }

    private static Tensor Its(Dictionary<string, Tensor> file, string prefix, string name) =>
        file.TryGetValue(prefix + name, out var same) ? same : file[prefix + Names[name]];

    private static Tensor Whole(Tensor weight, Tensor parameter) =>
        weight.numel() < parameter.numel() ? weight.repeat(parameter.numel() / weight.numel()) : weight;
}
