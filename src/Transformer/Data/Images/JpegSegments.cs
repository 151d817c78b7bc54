using System.Buffers.Binary;

namespace Transformer.Data.Images;

/// <summary>
/// Reads the segments of a JPEG file (ITU-T T.81) up to the end of its picture: how large the picture is, how it stands, and whether it is
/// whole. JPEG has no checksum, so damage within the coded data of a scan is found only where it cannot be decoded.
/// </summary>
internal static class JpegSegments
{
    // Encoders write about ten. Each goes over the whole picture, and an empty one takes a few bytes of the file.
    private const int MostScans = 100;

    private const byte StartOfImage = 0xD8, EndOfImage = 0xD9, StartOfScan = 0xDA, App1 = 0xE1;

    private static ReadOnlySpan<byte> Exif => "Exif\0\0"u8;

    /// <summary>Whether a file begins as a JPEG file does.</summary>
    public static bool IsJpeg(ReadOnlySpan<byte> file) => file.Length > 2 && file[0] == 0xFF && file[1] == StartOfImage && file[2] == 0xFF;

    /// <summary>Reads a file up to the end of its picture. What follows, as previews or depths of phones, is not part of it.</summary>
    /// <exception cref="InvalidDataException">The file is broken or incomplete, or is neither grey nor of three colours.</exception>
    public static EncodedPicture Read(byte[] file)
    {
        (int Width, int Height)? size = null;
        int? orientation = null;
        var (at, scans) = (2, 0);
        for (byte marker; (marker = Marker(file, ref at)) != EndOfImage;)
        {
            if (IsAlone(marker)) continue;
            var segment = Segment(file, ref at);
            if (IsFrame(marker))
            {
                if (size is not null) throw Broken("it has two frames");
                size = Size(marker, segment);
            }
            else if (marker == App1 && segment.StartsWith(Exif)) orientation ??= ExifOrientation.Of(segment[Exif.Length..]);
            else if (marker == StartOfScan)
            {
                if (++scans > MostScans)
                    throw new InvalidDataException($"found more than {MostScans} scans. Save the picture as a plain JPEG.");
                at = EndOfScan(file, at);
            }
        }
        if (size is not var (width, height) || scans == 0) throw Broken("it has no frame or no scan");
        return new(width, height, orientation ?? 1, file.AsMemory(0, at));
    }

    private static byte Marker(ReadOnlySpan<byte> file, ref int at)
    {
        if (at < file.Length && file[at] != 0xFF) throw Broken($"found 0x{file[at]:X2} at byte {at}, expected a marker");
        while (at < file.Length && file[at] == 0xFF) at++;    // a marker may be preceded by any number of these
        return at < file.Length ? file[at++] : throw Incomplete(file);
    }

    private static ReadOnlySpan<byte> Segment(ReadOnlySpan<byte> file, ref int at)
    {
        if (file.Length - at < 2) throw Incomplete(file);
        var length = BinaryPrimitives.ReadUInt16BigEndian(file[at..]);    // of itself and the data
        if (length < 2) throw Broken($"found a segment of length {length} at byte {at}");
        if (length > file.Length - at) throw Incomplete(file);
        var segment = file.Slice(at + 2, length - 2);
        at += length;
        return segment;
    }

    private static (int Width, int Height) Size(byte marker, ReadOnlySpan<byte> frame)
    {
        if (marker is not (0xC0 or 0xC1 or 0xC2))
            throw new InvalidDataException($"found a lossless, hierarchical or arithmetic-coded JPEG (SOF{marker - 0xC0}), " +
                "expected a baseline or progressive one. Convert it.");
        if (frame.Length < 6) throw Broken($"found a frame header of {frame.Length} bytes");
        var (precision, components) = (frame[0], frame[5]);
        if (precision != 8) throw new InvalidDataException($"found a JPEG of {precision} bits per colour, expected 8. Convert it.");
        if (components is not (1 or 3))
            throw new InvalidDataException($"found a JPEG of {components} colours{(components == 4 ? " (CMYK or YCCK)" : "")}, " +
                "expected grey or RGB. Convert it.");
        return (BinaryPrimitives.ReadUInt16BigEndian(frame[3..]), BinaryPrimitives.ReadUInt16BigEndian(frame[1..]));
    }

    // The next marker that does not belong to the coded data, in which 0xFF is followed by 0, by another 0xFF or by a restart's number.
    private static int EndOfScan(ReadOnlySpan<byte> file, int at)
    {
        while (true)
        {
            var next = file[at..].IndexOf((byte)0xFF);
            if (next < 0 || at + next + 1 >= file.Length) throw Incomplete(file);
            at += next;
            var code = file[at + 1];
            if (code == 0xFF) at++;
            else if (code == 0 || IsRestart(code)) at += 2;
            else return at;
        }
    }

    // SOF0 to SOF15 but for the three codes that define tables and extensions.
    private static bool IsFrame(byte marker) => marker is >= 0xC0 and <= 0xCF and not (0xC4 or 0xC8 or 0xCC);

    private static bool IsRestart(byte marker) => marker is >= 0xD0 and <= 0xD7;

    private static bool IsAlone(byte marker) => marker is 0x01 or StartOfImage || IsRestart(marker);

    private static InvalidDataException Broken(string what) => new($"{what}. The file is broken.");

    private static InvalidDataException Incomplete(ReadOnlySpan<byte> file) =>
        new($"ends at byte {file.Length} before the end of its picture. The file is incomplete.");
}
