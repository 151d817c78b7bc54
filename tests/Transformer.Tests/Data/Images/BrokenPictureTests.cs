using SkiaSharp;
using Transformer.Configuration;
using Transformer.Data.Images;

namespace Transformer.Tests.Data.Images;

public sealed class BrokenPictureTests : IDisposable
{
    private static readonly byte[] Row = [0, 1, 2, 3, 4, 5, 6];
    private static readonly byte[] Png = PngBytes.Of(2, 1, 8, PngBytes.Rgb, Row);
    private static readonly byte[] Jpeg = JpegBytes.Baseline;

    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    public static TheoryData<string, byte[]> Files => new()
    {
        { "found an empty file, expected a PNG or JPEG", [] },
        { "found neither, expected a PNG or JPEG", [.. "P6 2 1 255"u8] },
        { "found a GIF picture, expected a PNG or JPEG", [.. "GIF89a"u8] },
        { "found a WebP picture, expected a PNG or JPEG", WebP() },
        { "found a TIFF picture", JpegBytes.Exif(1, isLittleEndian: true) },
        { "found a TIFF picture", JpegBytes.Exif(1, isLittleEndian: false) },
        { "found a HEIC or AVIF picture", [0, 0, 0, 24, .. "ftypheic"u8] },

        { "found an animated PNG", PngBytes.Of(2, 1, 8, PngBytes.Rgb, Row, PngBytes.Chunk("acTL", [0, 0, 0, 2, 0, 0, 0, 0])) },
        { "found critical chunk ABCD", PngBytes.Of(2, 1, 8, PngBytes.Rgb, Row, PngBytes.Chunk("ABCD", [1])) },
        { "does not have its checksum", Changed(Png, Png.Length - 20, 1) },
        { "found no chunk at byte 33", Changed(Png, 37, 0x80) },
        { "found chunk IDAT", PngBytes.File(PngBytes.Data(Row), PngBytes.End) },
        { "found chunk IHDR of 12 bytes", PngBytes.File(PngBytes.Chunk("IHDR", new byte[12]), PngBytes.End) },
        { "expected IHDR of 13 bytes first", PngBytes.Of(2, 1, 8, PngBytes.Rgb, Row, PngBytes.Header(2, 1, 8, PngBytes.Rgb)) },
        { "its header cannot be decoded", PngBytes.File(PngBytes.Header(2, 1, 8, PngBytes.Rgb), PngBytes.End) },
        { "its header cannot be decoded", PngBytes.Of(2, 1, 7, PngBytes.Rgb, Row) },
        { "its header cannot be decoded", PngBytes.Of(2, 1, 8, 5, Row) },
        { "cannot be decoded", PngBytes.Of(2, 1, 8, PngBytes.Palette, [0, 0, 0]) },
        { "its pixels cannot be decoded", PngBytes.Of(2, 2, 8, PngBytes.Rgb, Row) },
        { "its pixels cannot be decoded", PngBytes.Of(2, 1, 8, PngBytes.Rgb, Row[..^1]) },
        { "its pixels cannot be decoded", PngBytes.Of(2, 1, 8, PngBytes.Rgb, [9, .. Row[1..]]) },
        { "its pixels cannot be decoded", WithData([1, 2, 3]) },
        { "its pixels cannot be decoded", WithData(PngBytes.Compressed(Row)[..^4]) },
        { "its pixels cannot be decoded", WithData(Changed(PngBytes.Compressed(Row), PngBytes.Compressed(Row).Length - 1, 1)) },
        { "found 0 x 1 pixels", PngBytes.Of(0, 1, 8, PngBytes.Rgb, Row) },
        { "found 2 x 0 pixels", PngBytes.Of(2, 0, 8, PngBytes.Rgb, Row) },
        { "found 4294967295 x 4294967295 pixels", PngBytes.File(PngBytes.Header(uint.MaxValue, uint.MaxValue, 8, 2), PngBytes.End) },
        { "found 65501 x 1 pixels", PngBytes.Of(65501, 1, 8, PngBytes.Rgb, Row) },
        { "found 8193 x 8192 pixels", PngBytes.Of(8193, 8192, 8, PngBytes.Rgb, Row) },

        { "found a JPEG of 4 colours (CMYK or YCCK)", Changed(Jpeg, JpegBytes.Frame(Jpeg) + 9, 3 ^ 4) },
        { "found a JPEG of 2 colours", Changed(Jpeg, JpegBytes.Frame(Jpeg) + 9, 3 ^ 2) },
        { "found a JPEG of 12 bits", Changed(Jpeg, JpegBytes.Frame(Jpeg) + 4, 8 ^ 12) },
        { "arithmetic-coded JPEG (SOF9)", Changed(Jpeg, JpegBytes.Frame(Jpeg) + 1, 0xC0 ^ 0xC9) },
        { "lossless, hierarchical or arithmetic-coded JPEG (SOF3)", Changed(Jpeg, JpegBytes.Frame(Jpeg) + 1, 0xC0 ^ 0xC3) },
        { "found 16 x 0 pixels", Changed(Jpeg, JpegBytes.Frame(Jpeg) + 6, 16) },
        { "found 65296 x 65296 pixels", Changed(Changed(Jpeg, JpegBytes.Frame(Jpeg) + 5, 0xFF), JpegBytes.Frame(Jpeg) + 7, 0xFF) },
        { "it has two frames", JpegBytes.With(0xC0, Jpeg[(JpegBytes.Frame(Jpeg) + 4)..(JpegBytes.Frame(Jpeg) + 19)], Jpeg) },
        { "it has no frame or no scan", [0xFF, 0xD8, 0xFF, 0xD9] },
        { "found a frame header of 5 bytes", JpegBytes.With(0xC0, [8, 0, 1, 0, 1], Jpeg) },
        { "found a segment of length 1", [0xFF, 0xD8, 0xFF, 0xE0, 0, 1, 0xFF, 0xD9] },
        { "found 0x05 at byte 6", [0xFF, 0xD8, 0xFF, 0xE0, 0, 2, 0x05] },
        { "found more than 100 scans",
            [.. Jpeg[..^2], .. Enumerable.Repeat(JpegBytes.Segment(0xDA, []), 100).SelectMany(scan => scan), 0xFF, 0xD9] },
        { "cannot be decoded", [0xFF, 0xD8, .. JpegBytes.Segment(0xC0, [8, 0, 1, 0, 1, 1]), .. JpegBytes.Segment(0xDA, []), 0xFF, 0xD9] },
    };

    [Theory, MemberData(nameof(Files))]
    public void A_wrong_file_is_refused_in_one_line_with_its_name_and_what_was_found(string found, byte[] file)
    {
        var path = folder.Write("picture.png", file);

        var before = GC.GetAllocatedBytesForCurrentThread();
        var error = Assert.Throws<InputException>(() => PictureFile.Read(path)).Message;

        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 1 << 20);
        Assert.StartsWith($"{path}: ", error);
        Assert.Contains(found, error);
        Assert.DoesNotContain('\n', error);
    }

    public static TheoryData<string, byte[]> Whole => new()
    {
        { "png", Png }, { "baseline", JpegBytes.Baseline }, { "progressive", JpegBytes.Progressive },
    };

    [Theory, MemberData(nameof(Whole))]
    public void A_file_cut_anywhere_is_refused(string kind, byte[] file)
    {
        Assert.Equal(kind == "png" ? 2 : JpegBytes.Side, PictureFile.Decode(file, kind).Width);
        Assert.All(
            Enumerable.Range(0, file.Length),
            length => Assert.Throws<InputException>(() => PictureFile.Decode(file[..length], kind)));
    }

    [Fact]
    public void What_is_no_file_is_refused_with_its_path()
    {
        foreach (var path in new[] { folder["missing.png"], folder.Path, $"{folder.Path}\0.png", "" })
        {
            var error = Assert.Throws<InputException>(() => PictureFile.Read(path)).Message;
            Assert.StartsWith($"{path}: cannot be read", error);
        }
    }

    [Fact]
    public void A_file_that_is_too_large_is_not_read_to_its_end()
    {
        using (var file = File.Create(folder["large.png"])) file.SetLength(1L << 40);
        Assert.Contains("more than 64 MiB", Assert.Throws<InputException>(() => PictureFile.Read(folder["large.png"])).Message);
    }

    [Fact]
    public void A_picture_takes_no_more_memory_than_is_said()
    {
        var (width, height) = (2000, 1000);
        PictureFile.Write(new Picture(width, height, new byte[width * height * 3]), folder["black.png"]);
        var before = GC.GetAllocatedBytesForCurrentThread();

        PictureFile.Read(folder["black.png"]);

        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 7L * width * height + (1 << 20));
    }

    private static byte[] Changed(byte[] file, int at, byte bits)
    {
        byte[] changed = [.. file];
        changed[at] ^= bits;
        return changed;
    }

    private static byte[] WithData(byte[] data) =>
        PngBytes.File(PngBytes.Header(2, 1, 8, PngBytes.Rgb), PngBytes.Chunk("IDAT", data), PngBytes.End);

    private static byte[] WebP()
    {
        using var bitmap = new SKBitmap(2, 2);
        using var file = bitmap.Encode(SKEncodedImageFormat.Webp, 90);
        return file.ToArray();
    }
}
