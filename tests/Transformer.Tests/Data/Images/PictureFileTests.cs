using SkiaSharp;
using Transformer.Configuration;
using Transformer.Data.Images;

namespace Transformer.Tests.Data.Images;

public sealed class PictureFileTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    // Rows of two pixels, each after the number of its filter, and the six levels that are read.
    public static TheoryData<string, byte[], byte[]> Kinds => new()
    {
        { "rgb", PngBytes.Of(2, 1, 8, PngBytes.Rgb, [0, 1, 2, 3, 4, 5, 6]), [1, 2, 3, 4, 5, 6] },
        { "rgb, Sub filter", PngBytes.Of(2, 1, 8, PngBytes.Rgb, [1, 1, 2, 3, 3, 3, 3]), [1, 2, 3, 4, 5, 6] },
        { "grey", PngBytes.Of(2, 1, 8, PngBytes.Grey, [0, 7, 200]), [7, 7, 7, 200, 200, 200] },
        { "grey of 1 bit", PngBytes.Of(2, 1, 1, PngBytes.Grey, [0, 0x40]), [0, 0, 0, 255, 255, 255] },
        { "grey of 4 bits", PngBytes.Of(2, 1, 4, PngBytes.Grey, [0, 0x1B]), [17, 17, 17, 187, 187, 187] },
        { "palette", PngBytes.Of(2, 1, 8, PngBytes.Palette, [0, 1, 0], Palette), [4, 5, 6, 1, 2, 3] },
        { "palette of 2 bits", PngBytes.Of(2, 1, 2, PngBytes.Palette, [0, 0x40], Palette), [4, 5, 6, 1, 2, 3] },
        { "alpha over white", PngBytes.Of(2, 1, 8, PngBytes.Rgba, [0, 10, 20, 30, 0, 10, 20, 255, 51]), [255, 255, 255, 206, 208, 255] },
        { "opaque alpha", PngBytes.Of(2, 1, 8, PngBytes.Rgba, [0, 1, 2, 3, 255, 4, 5, 6, 255]), [1, 2, 3, 4, 5, 6] },
        { "grey and alpha", PngBytes.Of(2, 1, 8, PngBytes.GreyAlpha, [0, 10, 255, 10, 51]), [10, 10, 10, 206, 206, 206] },
        { "a transparent level", PngBytes.Of(2, 1, 8, PngBytes.Grey, [0, 7, 8], Transparent(0, 7)), [255, 255, 255, 8, 8, 8] },
        { "a transparent colour", PngBytes.Of(2, 1, 8, PngBytes.Rgb, [0, 1, 2, 3, 4, 5, 6], Transparent(0, 1, 0, 2, 0, 3)),
            [255, 255, 255, 4, 5, 6] },
        { "a transparent palette", PngBytes.Of(2, 1, 8, PngBytes.Palette, [0, 1, 0], Palette, Transparent(51)), [4, 5, 6, 204, 204, 205] },
        { "rgb of 16 bits", PngBytes.Of(2, 1, 16, PngBytes.Rgb, [0, 1, 255, 2, 128, 3, 0, 4, 255, 5, 0, 255, 255]), [1, 2, 3, 4, 5, 255] },
        { "grey of 16 bits", PngBytes.Of(2, 1, 16, PngBytes.Grey, [0, 7, 255, 200, 128]), [7, 7, 7, 200, 200, 200] },
        { "grey and alpha of 16 bits", PngBytes.Of(2, 1, 16, PngBytes.GreyAlpha, [0, 10, 255, 255, 0, 10, 255, 51, 255]),
            [10, 10, 10, 206, 206, 206] },
        { "a transparent level of 16 bits", PngBytes.Of(2, 1, 16, PngBytes.Grey, [0, 7, 1, 7, 2], Transparent(7, 2)),
            [7, 7, 7, 255, 255, 255] },
    };

    [Theory, MemberData(nameof(Kinds))]
    public void Every_kind_of_PNG_is_read(string what, byte[] file, byte[] levels)
    {
        var picture = Read(file);
        Assert.True(picture.Pixels.SequenceEqual(levels), $"{what}: found {string.Join(' ', picture.Pixels)}");
        Assert.Equal((2, 1), (picture.Width, picture.Height));
    }

    [Fact]
    public void An_interlaced_PNG_is_read()
    {
        static byte Level(int x, int y) => (byte)(x * 16 + y);
        byte[] file = PngBytes.File(
            PngBytes.Header(11, 9, 8, PngBytes.Grey, interlace: 1), PngBytes.Data(PngBytes.Interlaced(11, 9, Level)), PngBytes.End);
        Assert.Equal(Enumerable.Range(0, 99 * 3).Select(i => Level(i / 3 % 11, i / 33)), Read(file).Pixels);
    }

    [Fact]
    public void Data_in_several_chunks_and_bytes_after_the_end_are_read()
    {
        var data = PngBytes.Compressed([0, 1, 2, 3]);
        byte[] file =
        [
            .. PngBytes.File(
                PngBytes.Header(1, 1, 8, PngBytes.Rgb), PngBytes.Chunk("IDAT", data[..3]), PngBytes.Chunk("IDAT", data[3..]), PngBytes.End),
            1, 2, 3,
        ];
        Assert.Equal([1, 2, 3], Read(file).Pixels);
    }

    [Fact]
    public void A_baseline_and_a_progressive_JPEG_of_the_same_coefficients_are_the_same_picture()
    {
        var (baseline, progressive) = (Read(JpegBytes.Baseline), Read(JpegBytes.Progressive));

        Assert.Equal(baseline.Pixels, progressive.Pixels);
        Assert.Equal((JpegBytes.Side, JpegBytes.Side), (baseline.Width, baseline.Height));
        for (var i = 0; i < baseline.Pixels.Length; i++)
        {
            var (x, y) = (i / 3 % JpegBytes.Side, i / 3 / JpegBytes.Side);
            Assert.InRange(baseline.Pixels[i] - (i % 3) switch { 0 => 16 * x, 1 => 16 * y, _ => 128 }, -4, 4);
        }
    }

    [Fact]
    public void A_grey_JPEG_has_three_equal_colours()
    {
        using var bitmap = new SKBitmap(8, 8, SKColorType.Gray8, SKAlphaType.Opaque);
        bitmap.Pixels = [.. Enumerable.Repeat(new SKColor(100, 100, 100), 64)];
        using var file = bitmap.Encode(SKEncodedImageFormat.Jpeg, 100);
        Assert.All(Read(file.ToArray()).Pixels, level => Assert.Equal(100, level));
    }

    // Rows of the upright picture, by EXIF's table: which edge the stored row 0 and column 0 are.
    public static TheoryData<int, string> Orientations => new()
    {
        { 0, "ab cd ef" }, { 1, "ab cd ef" }, { 2, "ba dc fe" }, { 3, "fe dc ba" }, { 4, "ef cd ab" },
        { 5, "ace bdf" }, { 6, "eca fdb" }, { 7, "fdb eca" }, { 8, "bdf ace" }, { 9, "ab cd ef" },
    };

    [Theory, MemberData(nameof(Orientations))]
    public void A_PNG_is_turned_as_EXIF_says(int orientation, string upright)
    {
        var rows = upright.Split(' ');
        byte[] stored = [0, (byte)'a', (byte)'b', 0, (byte)'c', (byte)'d', 0, (byte)'e', (byte)'f'];
        foreach (var isLittleEndian in new[] { true, false })
        {
            var exif = PngBytes.Chunk("eXIf", JpegBytes.Exif(orientation, isLittleEndian));
            var picture = Read(PngBytes.Of(2, 3, 8, PngBytes.Grey, stored, exif));
            Assert.Equal((rows[0].Length, rows.Length), (picture.Width, picture.Height));
            Assert.Equal(string.Concat(rows.SelectMany(row => row).Select(letter => new string(letter, 3))), Letters(picture));
        }
    }

    [Theory, MemberData(nameof(Orientations))]
    public void A_JPEG_is_turned_as_a_PNG_is(int orientation, string upright)
    {
        var plain = Read(JpegBytes.Progressive);
        PictureFile.Write(plain, folder["plain.png"]);
        var png = File.ReadAllBytes(folder["plain.png"]);
        byte[] turned = [.. png[..33], .. PngBytes.Chunk("eXIf", JpegBytes.Exif(orientation, isLittleEndian: false)), .. png[33..]];

        Assert.Equal(Read(turned).Pixels, Read(JpegBytes.Turned(orientation, JpegBytes.Progressive)).Pixels);
        Assert.Equal(upright is "ab cd ef", Read(turned).Pixels.SequenceEqual(plain.Pixels));
    }

    [Fact]
    public void EXIF_after_the_pixels_counts_as_well()
    {
        byte[] file = PngBytes.File(
            PngBytes.Header(2, 1, 8, PngBytes.Grey), PngBytes.Data([0, (byte)'a', (byte)'b']),
            PngBytes.Chunk("eXIf", JpegBytes.Exif(3, isLittleEndian: true)), PngBytes.End);
        Assert.Equal("bbbaaa", Letters(Read(file)));
    }

    [Fact]
    public void EXIF_that_is_cut_anywhere_or_of_another_type_leaves_the_picture_as_it_is()
    {
        var whole = JpegBytes.Exif(3, isLittleEndian: true);
        byte[][] broken = [.. Enumerable.Range(0, 34).Select(length => whole[..length]), JpegBytes.Exif(3, isLittleEndian: true, type: 2)];
        Assert.All(
            broken, exif => Assert.Equal(
                "aaabbb",
                Letters(Read(PngBytes.Of(2, 1, 8, PngBytes.Grey, [0, (byte)'a', (byte)'b'], PngBytes.Chunk("eXIf", exif))))));
    }

    [Theory, InlineData(SKEncodedImageFormat.Png), InlineData(SKEncodedImageFormat.Jpeg)]
    public void Levels_are_taken_as_they_are_stored_whatever_the_colour_profile(SKEncodedImageFormat format)
    {
        using var wide = SKColorSpace.CreateRgb(SKColorSpaceTransferFn.Linear, SKColorSpaceXyz.AdobeRgb);
        var (plain, profiled) = (Encoded(null), Encoded(wide));

        Assert.True(profiled.AsSpan().IndexOf(format == SKEncodedImageFormat.Png ? "iCCP"u8 : "ICC_PROFILE"u8) > 0);
        Assert.Equal(Read(plain).Pixels, Read(profiled).Pixels);

        byte[] Encoded(SKColorSpace? space)
        {
            using var bitmap = new SKBitmap(new SKImageInfo(8, 8, SKColorType.Rgba8888, SKAlphaType.Opaque, space));
            for (var i = 0; i < bitmap.GetPixelSpan().Length; i++) bitmap.GetPixelSpan()[i] = (byte)(i * 5);
            using var pixmap = bitmap.PeekPixels();
            using var data = pixmap.Encode(format, 90)!;
            return data.ToArray();
        }
    }

    [Fact]
    public void A_gamma_changes_nothing() => Assert.Equal(
        [1, 2, 3], Read(PngBytes.Of(1, 1, 8, PngBytes.Rgb, [0, 1, 2, 3], PngBytes.Chunk("gAMA", [0, 0, 0x27, 0x10]))).Pixels);

    [Fact]
    public void The_name_says_nothing()
    {
        Assert.Equal(JpegBytes.Side, PictureFile.Read(folder.Write("a.png", JpegBytes.Baseline)).Width);
        Assert.Equal(2, PictureFile.Read(folder.Write("a", PngBytes.Of(2, 1, 8, PngBytes.Grey, [0, 1, 2]))).Width);
    }

    [Fact]
    public void What_is_written_is_read_and_written_again_it_is_the_same_file()
    {
        var picture = new Picture(7, 5, [.. Enumerable.Range(0, 105).Select(i => (byte)(i * 37))]);
        PictureFile.Write(picture, folder["a.png"]);
        var read = PictureFile.Read(folder["a.png"]);
        PictureFile.Write(read, folder["b.png"]);

        Assert.Equal((7, 5), (read.Width, read.Height));
        Assert.Equal(picture.Pixels, read.Pixels);
        Assert.Equal(File.ReadAllBytes(folder["a.png"]), File.ReadAllBytes(folder["b.png"]));
        Assert.Equal(["a.png", "b.png"], folder.Names.Order());
    }

    [Fact]
    public void What_cannot_be_written_is_an_input_error_and_leaves_nothing()
    {
        var picture = new Picture(1, 1, [1, 2, 3]);
        var error = Assert.Throws<InputException>(() => PictureFile.Write(picture, folder["none/a.png"]));
        Assert.Contains(folder["none/a.png"], error.Message);
        Assert.Throws<ArgumentException>(() => PictureFile.Write(picture with { Width = 2 }, folder["a.png"]));
        Assert.Empty(folder.Names);
    }

    private static byte[] Palette { get; } = PngBytes.Chunk("PLTE", [1, 2, 3, 4, 5, 6]);

    private static byte[] Transparent(params byte[] levels) => PngBytes.Chunk("tRNS", levels);

    private static string Letters(Picture picture) => string.Concat(picture.Pixels.Select(level => (char)level));

    private Picture Read(byte[] file) => PictureFile.Read(folder.Write("picture", file));
}
