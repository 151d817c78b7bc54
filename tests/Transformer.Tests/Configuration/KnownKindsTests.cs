using Transformer.Configuration;
using Transformer.Inference.Cpu;
using Transformer.Inference.Cpu.Vision;
using Transformer.Layers.Positions;
using Transformer.Model;
using Transformer.Onnx;
using Transformer.Onnx.Graph;
using Transformer.Tests.Inference.Cpu.Vision;

namespace Transformer.Tests.Configuration;

/// <summary>A kind that is not known somewhere is refused there by name, before the first step, and never computed as another.</summary>
public sealed class KnownKindsTests
{
    private static readonly InferencePlan NoPlan = new(Tiny.Config, null!, null!, null!, null, null);

    public static TheoryData<string> Keys => UnknownKinds.Keys;

    [Theory]
    [MemberData(nameof(Keys))]
    public void The_CPU_kernels_name_what_they_do_not_know(string key) =>
        AssertNamed(key, "the CPU kernels know ", CpuKernels.Supports(UnknownKinds.Models[key]));

    [Fact]
    public void Generation_without_the_kernels_says_in_one_line_why()
    {
        Assert.Null(CpuKernels.FallbackNote(Tiny.Config));
        Assert.StartsWith(
            "Generating by libtorch, which is slower: model.attention.kind: " +
            "the CPU kernels know softmax, linear, convolution, latent, forgetting and transformer_xl, not ",
            CpuKernels.FallbackNote(UnknownKinds.Models["model.attention"]), StringComparison.Ordinal);
    }

    [Fact]
    public void The_CPU_kernels_name_a_rule_that_they_do_not_know() => Assert.Equal(
        "model.attention.rule: the CPU kernels do not know unknown",
        CpuKernels.Supports(Tiny.Config with { Attention = new LinearAttentionConfig { Heads = 4, Rule = new UnknownRule() } }));

    [Theory]
    [MemberData(nameof(Keys))]
    public void The_ONNX_graphs_name_what_they_do_not_know(string key) =>
        AssertNamed(key, "the ONNX graphs know ", DecoderGraph.Supports(UnknownKinds.Models[key]));

    [Theory]
    [MemberData(nameof(Keys))]
    public void A_model_of_libtorch_is_not_made_of_what_no_layer_knows(string key)
    {
        var error = Assert.Throws<InputException>(() => new TransformerModel(UnknownKinds.Models[key]));
        Assert.Matches("^model\\.[a-z.]+\\.kind: no (layer|rotation) is known for Unknown[A-Za-z]+$", error.Message);
    }

    [Theory]
    [MemberData(nameof(Keys))]
    public void Nothing_is_written_for_a_model_without_a_graph(string key)
    {
        using var folder = new TemporaryFolder();
        using var known = new TransformerModel(Tiny.Config);
        var error = Assert.Throws<InputException>(() => OnnxFolder.Write(folder["onnx"], UnknownKinds.Models[key], known.Weights));
        Assert.StartsWith($"{key}.kind: ", error.Message, StringComparison.Ordinal);
        Assert.False(Directory.Exists(folder["onnx"]));
    }

    [Fact]
    public void The_reason_lists_what_is_known() => Assert.Equal(
        "model.attention.kind: " +
        "the CPU kernels know softmax, linear, convolution, latent, forgetting and transformer_xl, not UnknownAttention",
        CpuKernels.Supports(UnknownKinds.Models["model.attention"]));

    [Fact]
    public void All_kinds_of_today_are_known()
    {
        ModelConfig[] models =
        [
            .. Tiny.Models.Values, .. Tiny.Mlps.Values.Select(mlp => Tiny.Config with { Mlp = mlp }),
            .. Tiny.Norms.Values.Select(norm => Tiny.Config with { Norm = norm }), Tiny.Config with { Mlp = new NoMlpConfig() },
        ];
        Assert.All(models, model => Assert.Null(CpuKernels.Supports(model)));
        Assert.All(
            models.Where(model => !model.HasSegments && !model.Layers.Hourglasses.Any() && model.Vision is null
                && model.Attention is not (LatentAttentionConfig or ForgettingAttentionConfig)),
            model => Assert.Null(DecoderGraph.Supports(model)));
    }

    [Theory]
    [InlineData("latent")]
    [InlineData("forgetting")]
    [InlineData("transformer_xl")]
    public void The_ONNX_graphs_refuse_mixers_without_a_graph_by_name(string kind) => Assert.Equal(
        $"model.attention.kind: the ONNX graphs know softmax, linear and convolution, not {kind}",
        DecoderGraph.Supports(Tiny.Models[kind]));

    [Theory]
    [InlineData("recurrent memory", "recurrent")]
    [InlineData("associative memory", "associative")]
    public void The_ONNX_graphs_refuse_memory_by_name(string model, string kind) =>
        Assert.Equal($"model.memory.kind: the ONNX graphs know none, not {kind}", DecoderGraph.Supports(Tiny.Models[model]));

    [Theory]
    [InlineData("hourglass", 1)]
    [InlineData("hourglass, attention", 0)]
    [InlineData("learned boundaries", 1)]
    public void The_ONNX_graphs_refuse_hourglasses_by_their_place(string model, int item) => Assert.Equal(
        $"model.layers[{item}]: the ONNX graphs know blocks alone, not hourglasses", DecoderGraph.Supports(Tiny.Models[model]));

    [Theory]
    [InlineData("pooling", "average, linear and attention")]
    [InlineData("pooling.initial", "average, linear and attention")]
    [InlineData("upsampling", "repeat, linear and attention")]
    [InlineData("upsampling.initial", "repeat, linear and attention")]
    [InlineData("boundaries", "white_space, learned, entropy and pieces")]
    public void The_CPU_kernels_name_the_part_of_an_hourglass_that_they_do_not_know(string part, string known)
    {
        var model = Tiny.Config with { Layers = [1, UnknownKinds.Hourglasses[part]] };
        var reason = CpuKernels.Supports(model);
        AssertNamed($"model.layers[1].{part}", $"the CPU kernels know {known}", reason);
        Assert.Equal("model.layers[1]: the ONNX graphs know blocks alone, not hourglasses", DecoderGraph.Supports(model));
    }

    public static TheoryData<string> VisionParts => [.. UnknownKinds.Vision.Keys];

    [Theory]
    [MemberData(nameof(VisionParts))]
    public void The_CPU_kernels_name_the_part_of_what_reads_pictures_that_they_do_not_know(string part) =>
        AssertNamed(
            $"model.vision.{part}", "the CPU kernels know ", CpuKernels.Supports(Tiny.Config with { Vision = UnknownKinds.Vision[part] }));

    [Fact]
    public void The_CPU_kernels_list_the_projectors_that_they_know() => Assert.Equal(
        "model.vision.projector.kind: the CPU kernels know linear, mlp, pixel_shuffle and perceiver_resampler, not UnknownProjector",
        CpuKernels.Supports(Tiny.Config with { Vision = UnknownKinds.Vision["projector"] }));

    [Theory]
    [InlineData("prefix", "prefix, linear")]
    [InlineData("gated_cross_attention", "cross, linear")]
    public void The_ONNX_graphs_refuse_pictures_by_the_way_in_which_they_are_read(string kind, string model)
    {
        Assert.Equal($"model.vision.kind: the ONNX graphs know none, not {kind}", DecoderGraph.Supports(VisionCases.Models[model]));
        Assert.Null(CpuKernels.Supports(VisionCases.Models[model]));
    }

    [Fact]
    public void Each_part_of_the_CPU_kernels_refuses_what_it_does_not_know()
    {
        Refuses("model.attention", () => MixerInference.Of(NoPlan, new UnknownAttention(), "", null!));
        var attention = new SoftmaxAttentionConfig { Heads = 4, Window = new UnknownWindow() };
        Refuses("model.attention.window", () => AttentionSpans.Of(attention, NoPlan, ""));
        Refuses("model.mlp", () => MlpInference.Of(NoPlan, new UnknownMlp(), "", null!));
        Refuses("model.norm", () => new NormInference(new UnknownNorm(), null!, ""));
        Refuses("model.position", () => DistanceBias.Of(UnknownKinds.ScoreBias, null!));
        Refuses("model.vision.projector", () => ProjectorInference.Of(NoPlan, new UnknownProjector(), 1, null!, ""));
        Refuses("model.layers.pooling", () => PoolingInference.Of(NoPlan, new UnknownPooling(), null!, ""));
        Refuses("model.layers.upsampling", () => UpsamplingInference.Of(NoPlan, new UnknownUpsampling(), null!, ""));
        Refuses("model.layers.boundaries", () => BoundaryInference.Of(NoPlan, new UnknownBoundaries(), null!, ""));
        Refuses("model.residual", () =>
        {
            var (model, block) = (UnknownKinds.Models["model.residual"], Tiny.Config.Blocks().First());
            return ResidualInference.Of(NoPlan with { Model = model }, block.Path, block.Sublayers[0]);
        });

        static void Refuses(string key, Func<object?> make)
        {
            var message = Assert.Throws<InputException>(make).Message;
            Assert.StartsWith($"{key}.kind: no CPU kernel is known for Unknown", message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void An_unknown_bias_of_scores_is_refused_too()
    {
        Assert.Equal(
            "model.position.kind: no layer is known for UnknownScoreBias",
            Assert.Throws<InputException>(() => ScoreBias.FromConfig(UnknownKinds.ScoreBias)).Message);
        AssertNamed("model.position", "the CPU kernels know ", CpuKernels.Supports(UnknownKinds.ScoreBias));
    }

    [Fact]
    public void A_kind_is_named_as_configurations_write_it()
    {
        Assert.Equal("relu_squared", Kind.NameOf(new ReluSquaredMlpConfig()));
        Assert.Equal("t5", Kind.NameOf(typeof(T5PositionConfig)));    // two levels below the family
        Assert.Equal("UnknownMlp", Kind.NameOf(new UnknownMlp()));
    }

    private static void AssertNamed(string key, string backend, string? reason)
    {
        Assert.StartsWith($"{key}.kind: {backend}", reason, StringComparison.Ordinal);
        Assert.Matches(", not Unknown[A-Za-z]+$", reason);
    }
}
