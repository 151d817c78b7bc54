using Transformer.Configuration;
using Transformer.Data.Images;
using static TorchSharp.torch;

namespace Transformer.Tests.Data.Images;

public sealed class ImagePreprocessingTests
{
    private const double Tolerance = 1e-6;

    private static readonly Dictionary<string, Tensor> Expected = Golden.Read("fusion/images.safetensors");

    private static readonly ImageConfig Clip = new()
    {
        Size = 16,
        Fit = ImageFit.CenterCrop,
        Mean = [0.48145466, 0.4578275, 0.40821073],
        Deviation = [0.26862954, 0.26130258, 0.27577711],
    };

    private static readonly ImageConfig Siglip = new() { Size = 16 };

    [Theory, InlineData("edges"), InlineData("gradient"), InlineData("noise")]
    public void A_shorter_side_resized_and_a_middle_cut_out_give_the_numbers_of_LLaVA(string picture) =>
        AssertNear($"{picture}.llava_clip_16", ImagePreprocessing.Pixels(PictureResizeTests.PictureOf(picture), Clip));

    [Theory, InlineData("edges"), InlineData("gradient"), InlineData("noise")]
    public void Both_sides_resized_give_the_numbers_of_SigLIP(string picture) =>
        AssertNear($"{picture}.siglip_16", ImagePreprocessing.Pixels(PictureResizeTests.PictureOf(picture), Siglip));

    [Theory, InlineData("edges"), InlineData("gradient"), InlineData("noise")]
    public void Normalised_numbers_are_those_of_CLIP_and_of_halves(string picture)
    {
        AssertNear($"{picture}.normalised_clip", ImagePreprocessing.Normalised(PictureResizeTests.PictureOf(picture), Clip));
        AssertNear($"{picture}.normalised_half", ImagePreprocessing.Normalised(PictureResizeTests.PictureOf(picture), Siglip));
    }

    [Fact]
    public void Colours_come_one_after_the_other_and_rows_within_them()
    {
        var picture = new Picture(2, 2, [0, 51, 102, 153, 204, 255, 255, 204, 153, 102, 51, 0]);
        var config = new ImageConfig { Size = 2, Mean = [0, 0, 0], Deviation = [1, 1, 1] };
        Assert.Equal([0, 0.6f, 1, 0.4f, 0.2f, 0.8f, 0.8f, 0.2f, 0.4f, 1, 0.6f, 0], ImagePreprocessing.Pixels(picture, config));
    }

    [Fact]
    public void The_middle_of_a_tall_picture_begins_at_the_floor_of_half_of_what_is_cut_off()
    {
        var picture = new Picture(1, 4, [.. Enumerable.Range(0, 4).SelectMany(level => new[] { (byte)level, (byte)0, (byte)0 })]);
        var config = new ImageConfig { Size = 1, Fit = ImageFit.CenterCrop, Mean = [0, 0, 0], Deviation = [1, 1, 1] };
        Assert.Equal([1 / 255f, 0, 0], ImagePreprocessing.Pixels(picture, config));
    }

    // As a whole, the resized picture would have 224 x 14,672,000 pixels.
    [Fact]
    public void Of_a_long_thin_picture_only_the_middle_is_resized()
    {
        var picture = new Picture(1, PictureFile.LongestSide, new byte[PictureFile.LongestSide * 3]);
        var config = new ImageConfig { Fit = ImageFit.CenterCrop };
        var before = GC.GetAllocatedBytesForCurrentThread();

        var pixels = ImagePreprocessing.Pixels(picture, config);

        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 4L << 20);
        Assert.All(pixels, pixel => Assert.Equal(-1, pixel));
    }

    private static void AssertNear(string name, float[] actual) =>
        Near.Equal(Expected[name], tensor(actual).view(Expected[name].shape), Tolerance, name);
}
