using System.Buffers;
using System.Buffers.Binary;
using System.IO.Hashing;
using System.Text;

namespace Transformer.Data.Images;

/// <summary>
/// Reads the chunks of a PNG file (ISO/IEC 15948), each against its checksum, and keeps those that make pixels: header, palette,
/// transparency and data. Profiles, gamma and texts never reach the decoder: levels are taken as they are stored, and a text that is
/// small in the file and large in memory is not expanded.
/// </summary>
internal static class PngChunks
{
    private const int HeaderLength = 13, Frame = 12;    // a frame is the length, the type and the checksum around a chunk's data

    private static readonly SearchValues<byte> Letters =
        SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"u8);

    private static ReadOnlySpan<byte> Signature => [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A];

    /// <summary>Whether a file begins as a PNG file does.</summary>
    public static bool IsPng(ReadOnlySpan<byte> file) => file.StartsWith(Signature);

    /// <summary>Reads a file up to its last chunk; what follows is not part of the picture.</summary>
    /// <exception cref="InvalidDataException">It is broken, incomplete or animated, or has a critical chunk that is not known.</exception>
    public static EncodedPicture Read(ReadOnlySpan<byte> file)
    {
        var kept = new MemoryStream(file.Length);
        kept.Write(Signature);
        var (width, height, orientation) = (0L, 0L, 1);
        for (var at = Signature.Length; ;)
        {
            var chunk = Chunk(file[at..], at);
            var type = chunk[4..8];
            var data = chunk[8..^4];
            var isHeader = type.SequenceEqual("IHDR"u8);
            if (isHeader != (at == Signature.Length) || (isHeader && data.Length != HeaderLength))
                throw new InvalidDataException($"found chunk {Name(type)} of {data.Length} bytes at byte {at}, " +
                    $"expected IHDR of {HeaderLength} bytes first and only there. The file is broken.");
            if (isHeader)
                (width, height) = (BinaryPrimitives.ReadUInt32BigEndian(data), BinaryPrimitives.ReadUInt32BigEndian(data[4..]));
            else if (type.SequenceEqual("acTL"u8))
                throw new InvalidDataException("found an animated PNG, expected one picture. Save one of its frames.");
            else if (type.SequenceEqual("eXIf"u8)) orientation = ExifOrientation.Of(data);

            if (MakesPixels(type)) kept.Write(chunk);
            else if (IsCritical(type))
                throw new InvalidDataException(
                    $"found critical chunk {Name(type)} at byte {at}, which is not known. Save the picture as a plain PNG.");
            at += chunk.Length;
            if (type.SequenceEqual("IEND"u8)) break;
        }
        return new(width, height, orientation, kept.GetBuffer().AsMemory(0, (int)kept.Length));
    }

    // The first chunk of what is left, with its frame.
    private static ReadOnlySpan<byte> Chunk(ReadOnlySpan<byte> rest, int at)
    {
        if (rest.Length < Frame)
            throw new InvalidDataException($"ends at byte {at + rest.Length} before its last chunk. The file is incomplete.");
        var length = BinaryPrimitives.ReadUInt32BigEndian(rest);
        var type = rest[4..8];
        if (type.ContainsAnyExcept(Letters)) throw new InvalidDataException($"found no chunk at byte {at}. The file is broken.");
        if (length > rest.Length - Frame)
            throw new InvalidDataException($"ends within chunk {Name(type)} at byte {at}: {rest.Length - Frame} of {length} bytes. " +
                "The file is incomplete.");
        var chunk = rest[..((int)length + Frame)];
        if (Crc32.HashToUInt32(chunk[4..^4]) != BinaryPrimitives.ReadUInt32BigEndian(chunk[^4..]))
            throw new InvalidDataException($"chunk {Name(type)} at byte {at} does not have its checksum. The file is broken.");
        return chunk;
    }

    private static bool MakesPixels(ReadOnlySpan<byte> type) =>
        type.SequenceEqual("IHDR"u8) || type.SequenceEqual("PLTE"u8) || type.SequenceEqual("tRNS"u8)
            || type.SequenceEqual("IDAT"u8) || type.SequenceEqual("IEND"u8);

    // The case of the first letter says whether a decoder may pass over a chunk that it does not know.
    private static bool IsCritical(ReadOnlySpan<byte> type) => char.IsAsciiLetterUpper((char)type[0]);

    private static string Name(ReadOnlySpan<byte> type) => Encoding.ASCII.GetString(type);
}
