using System.Buffers.Binary;
using System.IO.Compression;
using System.IO.Hashing;
using System.Text;

namespace Transformer.Tests.Data.Images;

/// <summary>PNG files chunk by chunk, right or wrong in a way that is chosen.</summary>
internal static class PngBytes
{
    public const int Grey = 0, Rgb = 2, Palette = 3, GreyAlpha = 4, Rgba = 6;

    private static readonly byte[] Signature = [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A];

    public static byte[] End { get; } = Chunk("IEND", []);

    /// <summary>A file of a header, further chunks and rows, each of which begins with the number of its filter.</summary>
    public static byte[] Of(int width, int height, int depth, int type, byte[] rows, params byte[][] chunks) =>
        File([Header(width, height, depth, type), .. chunks, Data(rows), End]);

    public static byte[] File(params byte[][] chunks) => [.. Signature, .. chunks.SelectMany(chunk => chunk)];

    public static byte[] Header(uint width, uint height, int depth, int type, int interlace = 0) =>
        Chunk("IHDR", [.. BigEndian(width), .. BigEndian(height), (byte)depth, (byte)type, 0, 0, (byte)interlace]);

    public static byte[] Header(int width, int height, int depth, int type) => Header((uint)width, (uint)height, depth, type);

    public static byte[] Data(byte[] rows) => Chunk("IDAT", Compressed(rows));

    public static byte[] Compressed(byte[] rows)
    {
        using var compressed = new MemoryStream();
        using (var zlib = new ZLibStream(compressed, CompressionLevel.Optimal, leaveOpen: true)) zlib.Write(rows);
        return compressed.ToArray();
    }

    public static byte[] Chunk(string type, byte[] data)
    {
        byte[] content = [.. Encoding.ASCII.GetBytes(type), .. data];
        return [.. BigEndian((uint)data.Length), .. content, .. BigEndian(Crc32.HashToUInt32(content))];
    }

    /// <summary>Where the chunks of a file begin, as far as their lengths can be followed.</summary>
    public static IEnumerable<(int Start, int Length)> Chunks(byte[] file)
    {
        for (var at = Signature.Length; at <= file.Length - 12;)
        {
            var length = BinaryPrimitives.ReadUInt32BigEndian(file.AsSpan(at));
            if (length > file.Length - at - 12) yield break;
            yield return (at, (int)length);
            at += (int)length + 12;
        }
    }

    /// <summary>Gives each chunk the checksum of what it holds.</summary>
    public static void MendChecksums(byte[] file)
    {
        foreach (var (start, length) in Chunks(file))
            BinaryPrimitives.WriteUInt32BigEndian(
                file.AsSpan(start + 8 + length), Crc32.HashToUInt32(file.AsSpan(start + 4, length + 4)));
    }

    /// <summary>Rows of the seven passes of an interlaced picture with pixels of one byte.</summary>
    public static byte[] Interlaced(int width, int height, Func<int, int, byte> pixel)
    {
        (int X, int Y, int StepX, int StepY)[] passes =
            [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)];
        var rows = new List<byte>();
        foreach (var pass in passes.Where(pass => pass.X < width))
            for (var y = pass.Y; y < height; y += pass.StepY)
            {
                rows.Add(0);
                for (var x = pass.X; x < width; x += pass.StepX) rows.Add(pixel(x, y));
            }
        return [.. rows];
    }

    private static byte[] BigEndian(uint value)
    {
        var bytes = new byte[4];
        BinaryPrimitives.WriteUInt32BigEndian(bytes, value);
        return bytes;
    }
}
