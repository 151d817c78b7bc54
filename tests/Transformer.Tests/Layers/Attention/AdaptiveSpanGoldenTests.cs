using Transformer.Configuration;
using Transformer.Layers.Attention;
using static TorchSharp.torch;

namespace Transformer.Tests.Layers.Attention;

// B batch · H heads · T queries · L span · P persistent vectors · D head width

/// <summary>
/// The reference's attention, assembled here from its oddities and the library's soft mask: queries do not see themselves, keys have a
/// learned relative position, and persistent vectors may join the softmax.
/// </summary>
public sealed class AdaptiveSpanGoldenTests
{
    private const int H = 4, D = 8;

    [Theory]
    [InlineData("span16", 5)]
    [InlineData("span16_fixed", 0)]
    [InlineData("span16_saturated", 5)]
    [InlineData("span128_trimmed", 8)]
    [InlineData("span16_persistent5", 5)]
    public void Values_and_gradients_are_the_reference_s(string name, int ramp)
    {
        using var scope = NewDisposeScope();
        var golden = Golden.Read($"adaptive-span/{name}.safetensors");
        string[] names = ["query", "key", "value", "key_pe", "current_val", "persistent_key", "persistent_val"];
        var inputs = names.Where(golden.ContainsKey).ToDictionary(name => name, name => golden[name].requires_grad_(true));
        var z = Attend(inputs, ramp, golden.GetValueOrDefault("mask"));
        Near.Equal(golden["out"], z, 1e-5, "out");
        (z * golden["do"]).sum().backward();
        foreach (var (input, value) in inputs)
        {
            var expected = golden[$"grad_{input}"];
            var tolerance = input == "current_val" ? 1e-4 + 1e-5 * expected.abs().max().item<float>() : 5e-5;
            Near.Equal(expected, value.grad!, tolerance, $"gradient of {input}");
        }
    }

    [Theory]
    [InlineData("span16")]
    [InlineData("span128_trimmed")]
    public void The_penalty_and_its_gradient_are_the_reference_s(string name)
    {
        using var scope = NewDisposeScope();
        var golden = Golden.Read($"adaptive-span/{name}.safetensors");
        var length = (int)golden["key_pe"].shape[2];
        using var module = new AdaptiveSpan(new() { Maximum = length, Penalty = 0.002 }, H);
        using (no_grad()) module.Weight("span").copy_(golden["current_val"].flatten());
        var losses = new Transformer.Layers.AuxiliaryLosses();
        module.call(zeros(1, 3, 8), new() { AuxiliaryLosses = losses });
        var penalty = losses.Total()!;
        Near.Equal(golden["span_loss"].item<float>(), penalty.item<float>(), 1e-6);
        penalty.backward();
        Near.Equal(golden["grad_current_val_of_span_loss"].flatten(), module.Weight("span").grad!, 1e-6);
    }

    private static Tensor Attend(Dictionary<string, Tensor> inputs, int ramp, Tensor? expectedMask)
    {
        var (q, position) = (inputs["query"], inputs["key_pe"]);
        var (T, L) = (q.shape[1], position.shape[2]);
        // key i + x is query i's x-th
        var near = (arange(T).unsqueeze(1) + arange(L)).flatten();
        var (k, v) = (inputs["key"].index_select(1, near), inputs["value"].index_select(1, near));
        (k, v) = (k.view(-1, T, L, D), v.view(-1, T, L, D));                                                      // [B H, T, L, D]
        var scores = (matmul(k, q.unsqueeze(-1)).squeeze(-1) + matmul(q, position)) / Math.Sqrt(D);               // [B H, T, L]
        if (inputs.TryGetValue("persistent_key", out var persistent))
            scores = cat([scores, matmul(q.view(-1, H, T, D), persistent * Math.Sqrt(D)).flatten(0, 1) / Math.Sqrt(D)], -1);
        var weights = scores.softmax(-1);                                                                         // [B H, T, L + P]
        if (inputs.TryGetValue("current_val", out var share))
        {
            var window = new Window((share * L).view(1, H, 1), ramp);
            // [1, H, 1, L]: the nearest key is x = 0
            var mask = window.SoftMask(arange(L - 1, -1, -1).view(1, 1, 1, L))!;
            Near.Equal(expectedMask!.view(1, H, 1, L), mask, 1e-6, "mask");
            mask = cat([mask, ones(1, H, 1, weights.shape[2] - L)], -1);
            weights = (weights.view(-1, H, T, mask.shape[3]) * mask).flatten(0, 1);
            weights = weights / (weights.sum(-1, keepdim: true) + LearnedWindowConfig.Epsilon);
        }
        var z = matmul(weights.narrow(-1, 0, L).unsqueeze(2), v).squeeze(2);                                      // [B H, T, D]
        if (!inputs.TryGetValue("persistent_val", out var values)) return z;
        var kept = weights.narrow(-1, L, values.shape[1]).view(-1, H, T, values.shape[1]);
        return z + matmul(kept, values * Math.Sqrt(values.shape[1])).flatten(0, 1);
    }
}
