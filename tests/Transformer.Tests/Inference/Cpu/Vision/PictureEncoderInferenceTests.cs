using Transformer.Checkpoints;
using Transformer.Configuration;
using Transformer.Formats;
using Transformer.Inference;
using Transformer.Inference.Cpu;
using Transformer.Inference.Cpu.Vision;
using Transformer.Inference.Torch;
using Transformer.Model;
using static TorchSharp.torch;

namespace Transformer.Tests.Inference.Cpu.Vision;

/// <summary>What the engine makes of pictures before a text reads them.</summary>
public sealed class PictureEncoderInferenceTests
{
    public static TheoryData<string> Encoders => [.. VisionCases.Encoders.Keys];

    [Theory]
    [MemberData(nameof(Encoders))]
    public void The_vectors_of_a_picture_are_those_of_libtorch(string encoder)
    {
        using var model = VisionCases.WithEncoder(encoder);
        using var engine = CpuInferenceModel.TryCreate(model, threads: 2)!;
        for (var seed = 1; seed <= 3; seed++)
        {
            using var expected = Expected(model, seed);
            var width = expected.abs().max().item<float>();
            Near.Equal(expected, Vectors(engine, seed), 2e-5 * Math.Max(1, width), $"picture {seed}, of numbers up to {width:g3}");
        }
    }

    [Theory]
    [MemberData(nameof(Encoders))]
    public void So_they_are_where_cross_attention_reads_them(string encoder)
    {
        using var model = VisionCases.Model(
            Tiny.Config with { Norm = new LayerNormConfig(), Vision = VisionCases.Cross(VisionCases.Encoders[encoder]) });
        using var engine = CpuInferenceModel.TryCreate(model, threads: 1)!;
        using var expected = Expected(model, seed: 1);
        Near.Equal(expected, Vectors(engine, 1), 2e-5 * Math.Max(1, expected.abs().max().item<float>()));
    }

    [Theory]
    [MemberData(nameof(Encoders))]
    public void They_are_the_same_bits_with_any_number_of_threads_and_whatever_was_read_before(string encoder)
    {
        using var model = VisionCases.WithEncoder(encoder);
        foreach (var format in (WeightFormat[])[WeightFormat.AsIs, WeightFormat.Q8])
        {
            using var one = CpuInferenceModel.TryCreate(model, format, threads: 1)!;
            using var three = CpuInferenceModel.TryCreate(model, format, threads: 3)!;
            Numbers(three, seed: 2);
            Assert.Equal(Numbers(one, seed: 1), Numbers(three, seed: 1));
        }
    }

    // Positions, latents and the convolutions of a stem stay as they are.
    [Theory]
    [InlineData(WeightFormat.BFloat16, 0.02)]
    [InlineData(WeightFormat.Half, 0.003)]
    [InlineData(WeightFormat.Q8, 0.05)]
    [InlineData(WeightFormat.Q4, 0.5)]
    public void A_packed_encoder_gives_nearly_the_same(WeightFormat format, double share)
    {
        using var model = VisionCases.WithEncoder("stem of two, overlapping patches");
        using var exact = CpuInferenceModel.TryCreate(model)!;
        using var packed = CpuInferenceModel.TryCreate(model, format)!;
        using var expected = Vectors(exact, 1);
        using var found = Vectors(packed, 1);
        var distance = ((found - expected).square().mean() / expected.square().mean()).sqrt().item<float>();
        Assert.InRange(distance, 1e-7, share);
    }

    [Theory]
    [InlineData("stem of two, overlapping patches")]
    [InlineData("perceiver_resampler")]
    public void An_engine_of_a_checkpoint_gives_the_bits_of_one_of_the_model(string encoder)
    {
        using var folder = new TemporaryFolder();
        using var model = VisionCases.WithEncoder(encoder);
        CheckpointFolder.Save(folder["checkpoint"], model.Config, model.Weights.ToStored());
        using var expected = CpuInferenceModel.TryCreate(model)!;
        using var found = CpuInferenceModel.TryCreate(CheckpointFolder.Open(folder["checkpoint"]), WeightFormat.AsIs, threads: 2)!;
        Assert.Equal(Numbers(expected, 1), Numbers(found, 1));
    }

    // Libtorch's unfolding and the convolution that it is.
    [Theory]
    [InlineData(3, 7, 3, 2, 1)]
    [InlineData(2, 6, 3, 2, 1)]
    [InlineData(1, 8, 4, 2, 0)]
    [InlineData(3, 9, 3, 3, 0)]
    [InlineData(2, 1, 3, 2, 1)]
    public unsafe void A_linear_map_of_patches_is_a_convolution(int channels, int side, int patch, int stride, int padding)
    {
        manual_seed(16);
        using var scope = NewDisposeScope();
        var (picture, kernel) = (randn(1, channels, side, side), randn(5, channels, patch, patch));
        var expected = nn.functional.conv2d(picture, kernel, strides: [stride, stride], padding: [padding, padding]);   // [1, 5, W, W]
        var patches = new PicturePatches(channels, side, patch, stride, padding);
        var numbers = new float[patches.Columns * patches.Columns * patches.Width];
        fixed (float* from = picture.data<float>().ToArray(), to = numbers)
            for (var row = 0; row < patches.Columns; row++) patches.Read(from, row, to + (row * patches.Columns * patches.Width));
        var found = tensor(numbers).view(-1, patches.Width).matmul(kernel.flatten(1).T).T.view(expected.shape);
        Near.Equal(expected, found, 1e-5);
    }

    private static Tensor Expected(TransformerModel model, int seed)
    {
        using var inference = inference_mode();
        var side = model.Config.Vision!.Image.Size;
        using var pixels = tensor(VisionCases.Pixels(model.Config, seed), 1, 3, side, side);
        return model.EncodePictures(pixels)[0];
    }

    private static Tensor Vectors(InferenceModel engine, int seed) => tensor(Numbers(engine, seed)).view(-1, engine.Config.Width);

    private static float[] Numbers(InferenceModel engine, int seed)
    {
        var ids = engine.Picture(VisionCases.Pixels(engine.Config, seed));
        return [.. ids.SelectMany(id => engine.VectorsOf(id).ToArray())];
    }
}
