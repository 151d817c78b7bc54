using Transformer.Configuration;
using Transformer.Layers;
using Transformer.Layers.Memory;
using Transformer.Layers.Mlp;
using Transformer.Layers.Norms;
using Transformer.Model;
using Transformer.Model.Hierarchy;
using Transformer.Runs;
using static TorchSharp.torch;

namespace Transformer.Tests.Model;

/// <summary>The contract of every kind of model in 16 bits.</summary>
public sealed class PrecisionTests
{
    private static readonly Dictionary<string, ModelConfig> Models = new(
    [
        .. Tiny.Models,
        .. Tiny.Mlps.Select(mlp => KeyValuePair.Create($"mlp {mlp.Key}", Tiny.Config with { Mlp = mlp.Value })),
        .. Tiny.Norms.Select(
            norm => KeyValuePair.Create($"norm {norm.Key}", Tiny.Config with { Norm = norm.Value, Residual = Tiny.Residuals["sandwich"] })),
        KeyValuePair.Create(
            "query and key norm", Tiny.Config with { Attention = new SoftmaxAttentionConfig { Heads = 4, QueryKeyNorm = true } }),
        KeyValuePair.Create("soft cap", Tiny.Config with { Attention = new SoftmaxAttentionConfig { Heads = 4, LogitSoftCap = 2 } }),
        KeyValuePair.Create("untied, biased and dropped", Tiny.Config with
        {
            TiedHead = false,
            Dropout = 0.1,
            Attention = new SoftmaxAttentionConfig { Heads = 4, Bias = true, Dropout = 0.1 }
        }),
        KeyValuePair.Create("mup", Tiny.Config with { Initialization = new MupInitializationConfig { BaseWidth = 4 } }),
    ]);

    public PrecisionTests() => manual_seed(1);

    public static TheoryData<string, Precision> Kinds => new(
        from kind in Models.Keys from precision in (Precision[])[Precision.Bf16, Precision.Fp16] select (kind, precision));

    public static TheoryData<string, Precision> Continued => new(
        from kind in Tiny.Whole from precision in (Precision[])[Precision.Bf16, Precision.Fp16] select (kind, precision));

    [Theory, MemberData(nameof(Kinds))]
    public void The_loss_and_its_gradient_are_nearly_those_of_fp32(string kind, Precision precision)
    {
        using var model = Draw(kind);
        var ids = Tiny.Ids(3, 10);
        var (loss, gradient) = Backward(model, ids, Precision.Fp32);
        var (rounded, roundedGradient) = Backward(model, ids, precision);

        Assert.NotEqual(loss, rounded);    // else nothing was rounded
        Near.Equal(loss, rounded, precision == Precision.Bf16 ? 0.08 : 0.01, "loss");
        // Normalisers divide by sums that may be near zero, and delta rules write back what they have read: both amplify the rounding of a
        // key.
        var sensitive = Tiny.Linear.ContainsKey(kind) || kind == "hybrid";
        var tolerance = (precision, sensitive) switch
        {
            (Precision.Bf16, false) => 0.35,
            (Precision.Bf16, true) => 2,
            (_, false) => 0.06,
            _ => 0.3
        };
        var distance = (gradient - roundedGradient).norm().item<float>() / gradient.norm().item<float>();
        Assert.True(distance < tolerance, $"the gradient is off by {distance:g3} of its length, expected at most {tolerance}");
    }

    [Theory, MemberData(nameof(Kinds))]
    public void Products_are_16_bit_and_norms_routers_the_stream_and_what_is_learned_are_fp32(string kind, Precision precision)
    {
        using var model = Draw(kind);
        model.Precision = precision;
        var type = precision == Precision.Bf16 ? ScalarType.BFloat16 : ScalarType.Float16;
        var routers = model.modules().OfType<MixtureOfExperts>().SelectMany(mixture => mixture.named_children())
            .Where(child => child.name == "gate").Select(child => child.module)
            .Concat(model.modules().Where(module => module is AssociativeMemory or BoundaryPredictor)
                .SelectMany(module => module.children()))
            .ToHashSet();
        var (wrong, products) = (new List<string>(), 0);
        foreach (var (name, module) in model.named_modules())
        {
            switch (module)
            {
                case Linear linear:
                    linear.register_forward_hook(
                        (_, _, y) => { products++; Expect(name, y, routers.Contains(linear) ? ScalarType.Float32 : type); return y; });
                    break;
                case RmsNorm or TorchSharp.Modules.LayerNorm:
                    ((nn.Module<Tensor, Tensor>)module).register_forward_hook(
                        (_, _, y) => { Expect(name, y, ScalarType.Float32); return y; });
                    break;
                case Block block:
                    block.register_forward_hook((_, _, _, y) => { Expect(name, y, ScalarType.Float32); return y; });
                    break;
            }
        }

        var logits = model.call(Tiny.Ids(2, 9), null);
        Expect("logits", logits, ScalarType.Float32);
        logits.sum().backward();
        foreach (var (name, parameter) in model.named_parameters())
        {
            Expect(name, parameter, ScalarType.Float32);
            if (parameter.grad is { } gradient) Expect($"{name}'s gradient", gradient, ScalarType.Float32);
        }
        Assert.Empty(wrong);
        Assert.True(products > 0);

        void Expect(string what, Tensor tensor, ScalarType expected)
        {
            if (tensor.dtype != expected) wrong.Add($"{what}: {tensor.dtype}, expected {expected}");
        }
    }

    [Theory, MemberData(nameof(Continued))]
    public void Cached_passes_are_nearly_the_full_pass(string kind, Precision precision)
    {
        using var _ = no_grad();
        using var model = Tiny.Model(kind);
        var ids = Tiny.Ids(2, 8);
        var exact = model.call(ids, null);
        model.Precision = precision;
        using var state = model.NewState(rows: 2);
        var parts = ids.split((long[])[5, 1, 2], 1).Select(part => model.call(part, state)).ToArray();
        Near.Equal(exact, cat(parts, 1), (precision == Precision.Bf16 ? 0.1 : 0.03) * exact.abs().max().item<float>());
    }

    [Fact]
    public void The_type_can_be_changed_and_changed_back()
    {
        using var _ = no_grad();
        using var model = new TransformerModel(Tiny.Config);
        var ids = Tiny.Ids(2, 8);
        var before = model.call(ids, null);
        model.Precision = Precision.Bf16;
        Assert.True(Near.Distance(before, model.call(ids, null)) > 1e-4);
        model.Precision = Precision.Fp32;
        Near.Equal(before, model.call(ids, null), 0);
    }

    [Fact]
    public void Tf32_is_refused_away_from_an_nvidia_gpu()
    {
        using var model = new TransformerModel(Tiny.Config);
        var error = Assert.Throws<InputException>(() => model.Precision = Precision.Tf32);
        Assert.Contains(
            "training.precision: found tf32, which only NVIDIA's GPUs compute in, but the model is on cpu. Take fp32 or bf16.",
            error.Message);
        Assert.Equal(Precision.Fp32, model.Precision);
    }

    private static TransformerModel Draw(string kind) =>
        Tiny.Models.ContainsKey(kind) ? Tiny.Model(kind) : new TransformerModel(Models[kind]);

    // The loss that is trained on, and the gradient of everything, one after the other.
    private static (double Loss, Tensor Gradient) Backward(TransformerModel model, Tensor ids, Precision precision)
    {
        manual_seed(5);    // of dropout
        model.Precision = precision;
        foreach (var parameter in model.parameters()) parameter.grad = zeros_like(parameter);
        var (hidden, penalty) = model.HiddenAndPenalty(ids);
        var loss = LanguageModelLoss.CrossEntropy(model.Logits(hidden), ids.roll(-1, 1));
        (penalty is null ? loss : loss + penalty).backward();
        return (loss.item<float>(), cat([.. model.parameters().Select(parameter => parameter.grad!.flatten())]));
    }
}
