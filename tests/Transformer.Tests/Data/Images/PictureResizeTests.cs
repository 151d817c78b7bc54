using Transformer.Configuration;
using Transformer.Data.Images;
using static TorchSharp.torch;

namespace Transformer.Tests.Data.Images;

public sealed class PictureResizeTests
{
    private static readonly Dictionary<string, Tensor> Pictures = Golden.Read("fusion/images.safetensors");

    public static TheoryData<string> Resized => [.. Pictures.Keys.Where(name => name.Count(letter => letter == '.') == 2)];

    // The weights are Pillow's to the last bit, so the levels are; the golden's README would allow 2.
    [Theory, MemberData(nameof(Resized))]
    public void Every_filter_gives_the_levels_of_Pillow(string name)
    {
        var (filter, expected) = (Enum.Parse<ImageFilter>(name.Split('.')[1], ignoreCase: true), Pictures[name]);

        var picture = PictureResize.To(PictureOf(name.Split('.')[0]), (int)expected.shape[1], (int)expected.shape[0], filter);

        Near.Equal(expected, TensorOf(picture), 0, name);
    }

    [Fact]
    public void All_filters_are_among_the_references() =>
        Assert.Equal(
            Enum.GetValues<ImageFilter>().Order(),
            Resized.Select(row => Enum.Parse<ImageFilter>(row.Data.Split('.')[1], ignoreCase: true)).Distinct().Order());

    public static TheoryData<ImageFilter> Filters => [.. Enum.GetValues<ImageFilter>()];

    [Theory, MemberData(nameof(Filters))]
    public void A_picture_of_the_right_size_is_unchanged(ImageFilter filter)
    {
        var picture = PictureOf("noise");
        Assert.Equal(picture.Pixels, PictureResize.To(picture, picture.Width, picture.Height, filter).Pixels);
    }

    [Theory, MemberData(nameof(Filters))]
    public void One_colour_stays_itself_at_every_size(ImageFilter filter)
    {
        var picture = new Picture(5, 7, [.. Enumerable.Repeat<byte[]>([0, 137, 255], 35).SelectMany(pixel => pixel)]);
        foreach (var (width, height) in new[] { (1, 1), (2, 13), (50, 3) })
            Assert.Equal(
                Enumerable.Repeat<byte[]>([0, 137, 255], width * height).SelectMany(pixel => pixel),
                PictureResize.To(picture, width, height, filter).Pixels);
    }

    // The centre of the fifth is 3, where the last old pixel begins; Pillow adds it up from steps and stays below. Found with Pillow 9.4.
    [Fact]
    public void The_nearest_pixel_is_that_of_Pillow_where_two_are_as_near()
    {
        var picture = new Picture(4, 1, [.. Enumerable.Range(0, 4).SelectMany(level => new[] { (byte)level, (byte)level, (byte)level })]);
        Assert.Equal([0, 1, 1, 2, 2, 3], Reds(PictureResize.To(picture, 6, 1, ImageFilter.Nearest)));
    }

    [Fact]
    public void A_part_of_a_resized_picture_is_what_is_cut_out_of_the_whole()
    {
        var picture = PictureOf("noise");
        foreach (var filter in Enum.GetValues<ImageFilter>())
        {
            var whole = PictureResize.To(picture, 40, 30, filter);
            var part = PictureResize.To(
                picture, ResizeWeights.Of(picture.Width, 40, 11, 7, filter), ResizeWeights.Of(picture.Height, 30, 19, 4, filter));
            Assert.Equal(TensorOf(whole)[TensorIndex.Slice(19, 23), TensorIndex.Slice(11, 18)], TensorOf(part));
        }
    }

    [Theory, InlineData(0, 1), InlineData(1, 0)]
    public void A_size_without_pixels_is_refused(int width, int height) =>
        Assert.Throws<ArgumentOutOfRangeException>(() => PictureResize.To(PictureOf("noise"), width, height, ImageFilter.Box));

    internal static Picture PictureOf(string name)
    {
        var levels = Pictures[name];
        return new((int)levels.shape[1], (int)levels.shape[0], levels.to(uint8).data<byte>().ToArray());
    }

    private static Tensor TensorOf(Picture picture) => tensor(picture.Pixels).view(picture.Height, picture.Width, 3).to(float32);

    private static IEnumerable<int> Reds(Picture picture) => picture.Pixels.Where((_, i) => i % 3 == 0).Select(level => (int)level);
}
