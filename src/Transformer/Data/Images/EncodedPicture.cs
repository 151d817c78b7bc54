namespace Transformer.Data.Images;

/// <summary>What a file says about its picture before any pixel of it is decoded.</summary>
/// <param name="Width">Pixels of a row, as they are stored.</param>
/// <param name="Height">Rows, as they are stored.</param>
/// <param name="Orientation">How the stored rows lie in the upright picture, from 1 to 8 as EXIF counts; 1 where they are upright.</param>
/// <param name="Bytes">What a decoder needs of the file.</param>
internal sealed record EncodedPicture(long Width, long Height, int Orientation, ReadOnlyMemory<byte> Bytes)
{
    /// <summary>Tells the format of a file by its content.</summary>
    /// <exception cref="InvalidDataException">It is no PNG or JPEG file, is broken or incomplete, or is of a kind that is not read.
    /// </exception>
    public static EncodedPicture Of(byte[] file) =>
        PngChunks.IsPng(file) ? PngChunks.Read(file)
        : JpegSegments.IsJpeg(file) ? JpegSegments.Read(file)
        : throw new InvalidDataException($"found {Found(file)}, expected a PNG or JPEG picture. Convert it to one of them.");

    private static string Found(ReadOnlySpan<byte> file)
    {
        if (file.IsEmpty) return "an empty file";
        if (file.StartsWith("GIF8"u8)) return "a GIF picture";
        if (file.StartsWith("RIFF"u8) && file.Length > 8 && file[8..].StartsWith("WEBP"u8)) return "a WebP picture";
        if (file.StartsWith("II*\0"u8) || file.StartsWith("MM\0*"u8)) return "a TIFF picture";
        if (file.Length > 4 && file[4..].StartsWith("ftyp"u8)) return "a HEIC or AVIF picture, or a video";
        return "neither";
    }
}
