using Transformer.Configuration;
using Transformer.Formats;
using Transformer.Formats.Gguf;
using Transformer.Inference.Cpu;
using Transformer.Model;
using Transformer.Onnx.Graph;
using static TorchSharp.torch;

namespace Transformer.Tests.Layers.Attention;

/// <summary><c>kernel: explicit</c>: the equation as it is written, with the numbers of the fused kernels.</summary>
public sealed class SoftmaxKernelTests
{
    public static TheoryData<string> Softmax =>
        [.. Tiny.Models.Where(model => model.Value.SoftmaxMixers().Any()).Select(model => model.Key)];

    [Theory]
    [MemberData(nameof(Softmax))]
    public void Both_kernels_give_the_same_logits_and_gradients(string kind)
    {
        using var scope = NewDisposeScope();
        var (fused, written) = Models(kind);
        var ids = Tiny.Ids(2, 9);
        // The dpfp layer of the hybrid magnifies rounding: see TensorParallelTests; a delta rule does so less.
        var tolerance = kind == "hybrid" ? 1e-3 : kind.Contains("gated_delta", StringComparison.Ordinal) ? 1e-4 : 1e-5;
        var (expected, found) = (fused.call(ids, null), written.call(ids, null));
        Near.Equal(expected, found, 1e-5);
        expected.square().mean().backward();
        found.square().mean().backward();
        foreach (var ((name, of), (_, its)) in fused.named_parameters().Zip(written.named_parameters()))
        {
            // An expert that no token took has none.
            Assert.Equal(of.grad is null, its.grad is null);
            if (of.grad is null) continue;
            Near.Equal(of.grad, its.grad!, tolerance * Math.Max(1, of.grad.abs().max().item<float>()), name);
        }
    }

    public static TheoryData<string> Whole => [.. Softmax.Select(row => row.Data).Intersect(Tiny.Whole)];

    [Theory]
    [MemberData(nameof(Whole))]
    public void Both_kernels_continue_a_text_alike(string kind)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var (_, written) = Models(kind);
        written.eval();
        var ids = Tiny.Ids(2, 9);
        var whole = written.call(ids, null);
        using var state = written.NewState(2, 9);
        var first = written.call(ids.narrow(1, 0, 5), state);
        var parts = cat([first, .. Enumerable.Range(5, 4).Select(t => written.call(ids.narrow(1, t, 1), state))], 1);
        // Angles that follow the length differ between a text in parts and as a whole.
        if (written.Config.Position is RotaryPositionConfig { Scaling: DynamicNtkScalingConfig }) return;
        Near.Equal(whole, parts, 1e-4);
    }

    [Fact]
    public void Backends_with_code_of_their_own_refuse_the_explicit_kernel_by_name()
    {
        var model = WithKernel(Tiny.Config) with { VocabularySize = 13 };
        const string Reason = "have code of their own; explicit is what libtorch computes";
        Assert.Equal($"model.attention.kernel: the CPU kernels {Reason}", CpuKernels.Supports(model));
        Assert.Equal($"model.attention.kernel: the ONNX graphs {Reason}", DecoderGraph.Supports(model));
        Assert.Equal("attention.kernel", GgufModel.Obstacle(model));
        Assert.Equal("attention.kernel", HuggingFaceConfig.LlamaObstacle(model));
    }

    private static (TransformerModel Fused, TransformerModel Explicit) Models(string kind)
    {
        var (fused, written) = (Tiny.Model(kind), new TransformerModel(WithKernel(Tiny.Model(kind).Config)));
        Tiny.CopyWeights(fused, written);
        return (fused, written);
    }

    private static ModelConfig WithKernel(ModelConfig model) => model with
    {
        Attention = model.Attention is null ? null : WithKernel(model.Attention),
        Mixers = model.Mixers?.ToDictionary(mixer => mixer.Key, mixer => WithKernel(mixer.Value)),
    };

    private static AttentionConfig WithKernel(AttentionConfig mixer) =>
        mixer is SoftmaxAttentionConfig softmax ? softmax with { Kernel = SoftmaxKernel.Explicit } : mixer;
}
