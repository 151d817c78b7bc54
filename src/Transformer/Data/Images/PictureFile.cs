using SkiaSharp;
using Transformer.Configuration;
using Transformer.Files;

namespace Transformer.Data.Images;

/// <summary>
/// Pictures as PNG and JPEG files, told from each other by content, not by name. Transparency is laid over white; of 16 bits the upper 8
/// are taken; grey becomes three equal colours; the orientation that EXIF names is applied, so that a photo from a phone stands upright;
/// levels are taken as they are stored, whatever colour profile or gamma goes with them.
/// </summary>
public static class PictureFile
{
    /// <summary>The most pixels of a picture that is read: 2^26, or 8192 x 8192.</summary>
    public const int MostPixels = 1 << 26;

    /// <summary>The most pixels of one side, as libjpeg has it.</summary>
    public const int LongestSide = 65_500;

    private const int Rgba = 4, Rgb = 3, White = 255;

    /// <summary>
    /// Reads a picture. The file may have 64 MiB; its header is checked before pixels are allocated, of which each then takes 7 bytes, and
    /// for the time of decoding a progressive or interlaced file up to 8 more.
    /// </summary>
    /// <exception cref="InputException">
    /// The file cannot be read, is no PNG or JPEG picture, is broken, incomplete, animated or too large, or is a JPEG of four colours.
    /// </exception>
    public static Picture Read(string path) => Decode(Bytes(path), path);

    /// <summary>Writes a picture as PNG. The bytes depend on the pixels alone.</summary>
    /// <exception cref="InputException">The file cannot be written.</exception>
    public static void Write(Picture picture, string path)
    {
        using var png = Encode(picture);
        DurableFile.Write(path, png.SaveTo);
    }

    /// <summary>A picture as the bytes of a PNG file.</summary>
    public static byte[] ToPng(Picture picture)
    {
        using var png = Encode(picture);
        return png.ToArray();
    }

    private static byte[] Bytes(string path)
    {
        try
        {
            return WholeFile.Bytes(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)    // the last: it cannot be a path
        {
            throw new InputException($"{path}: cannot be read ({e.Message}), expected a PNG or JPEG picture", e);
        }
    }

    /// <summary>The picture that a file holds.</summary>
    /// <exception cref="InputException">As <see cref="Read"/>.</exception>
    internal static Picture Decode(byte[] file, string path)
    {
        try
        {
            return Decode(file);
        }
        catch (InvalidDataException e)
        {
            throw new InputException($"{path}: {e.Message}", e);
        }
    }

    private static unsafe Picture Decode(byte[] file)
    {
        var encoded = EncodedPicture.Of(file);
        var (width, height) = Size(encoded);
        fixed (byte* bytes = encoded.Bytes.Span)
        {
            using var data = SKData.Create((nint)bytes, encoded.Bytes.Length);
            using var codec = SKCodec.Create(data);
            if (codec is null || (codec.Info.Width, codec.Info.Height) != (width, height)) throw Undecodable("its header");
            // Without a colour space nothing is converted.
            var info = new SKImageInfo(width, height, SKColorType.Rgba8888, SKAlphaType.Unpremul);
            var pixels = GC.AllocateUninitializedArray<byte>(width * height * Rgba);
            fixed (byte* destination = pixels)
                if (codec.GetPixels(info, (nint)destination) != SKCodecResult.Success) throw Undecodable("its pixels");
            return Upright(pixels, width, height, encoded.Orientation);
        }
    }

    private static (int Width, int Height) Size(EncodedPicture encoded)
    {
        var (width, height) = (encoded.Width, encoded.Height);
        if (width is < 1 or > LongestSide || height is < 1 or > LongestSide || width * height > MostPixels)
            throw new InvalidDataException($"found {width} x {height} pixels, expected 1 to {LongestSide} a side and at most " +
                $"{MostPixels} in all. Make the picture smaller.");
        return ((int)width, (int)height);
    }

    // Turned by EXIF's orientation: from 5 on rows are columns, and in each half the four combinations of mirrored sides follow.
    private static Picture Upright(byte[] stored, int width, int height, int orientation)
    {
        var isTransposed = orientation >= 5;
        var isMirrored = orientation is 2 or 3 or 7 or 8;
        var isFlipped = orientation is 3 or 4 or 6 or 7;
        var (rowLength, rows) = isTransposed ? (height, width) : (width, height);
        var upright = GC.AllocateUninitializedArray<byte>(width * height * Rgb);
        var next = 0;
        for (var y = 0; y < rows; y++)
            for (var x = 0; x < rowLength; x++, next += Rgb)
            {
                var (column, row) = isTransposed ? (y, x) : (x, y);
                if (isMirrored) column = width - 1 - column;
                if (isFlipped) row = height - 1 - row;
                OverWhite(stored.AsSpan((row * width + column) * Rgba, Rgba), upright.AsSpan(next, Rgb));
            }
        return new(rowLength, rows, upright);
    }

    private static void OverWhite(ReadOnlySpan<byte> pixel, Span<byte> colours)
    {
        var opacity = pixel[Rgb];
        for (var c = 0; c < Rgb; c++)
            colours[c] = (byte)((pixel[c] * opacity + White * (White - opacity) + White / 2) / White);
    }

    private static unsafe SKData Encode(Picture picture)
    {
        var count = checked(picture.Width * picture.Height);
        if (picture.Width < 1 || picture.Height < 1 || picture.Pixels.Length != count * Rgb)
            throw new ArgumentException(
                $"found {picture.Pixels.Length} levels for {picture.Width} x {picture.Height} pixels", nameof(picture));
        var pixels = new byte[checked(count * Rgba)];
        for (var i = 0; i < count; i++) picture.Pixels.AsSpan(i * Rgb, Rgb).CopyTo(pixels.AsSpan(i * Rgba));
        fixed (byte* start = pixels)
        {
            using var pixmap = new SKPixmap(new SKImageInfo(picture.Width, picture.Height, SKColorType.Rgb888x), (nint)start);
            return pixmap.Encode(SKPngEncoderOptions.Default)
                ?? throw new ArgumentException($"{picture.Width} x {picture.Height} pixels do not fit into a PNG file", nameof(picture));
        }
    }

    private static InvalidDataException Undecodable(string what) => new($"{what} cannot be decoded. The file is broken or incomplete.");
}
