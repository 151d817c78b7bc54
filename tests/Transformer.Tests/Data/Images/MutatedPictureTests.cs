using System.Buffers.Binary;
using Transformer.Configuration;
using Transformer.Data.Images;

namespace Transformer.Tests.Data.Images;

/// <summary>Pictures whose bytes are changed at random, from a fixed seed.</summary>
public sealed class MutatedPictureTests(ITestOutputHelper output)
{
    private const int Mutants = 10_000;

    // What an exception takes, and objects of a fixed size.
    private const long Overhead = 64 << 10;

    [Fact]
    public void A_mutated_picture_is_read_or_refused_and_takes_no_more_memory_than_its_header_says()
    {
        var random = new Random(20_260_101);
        byte[][] originals = [.. Pngs(random), JpegBytes.Baseline, JpegBytes.Progressive, JpegBytes.Turned(6, JpegBytes.Baseline)];
        Assert.All(originals, original => PictureFile.Decode(original, "original"));

        var read = 0;
        for (var i = 0; i < Mutants; i++)
        {
            var mutant = random.Next(5) == 0 ? RandomPng(random) : Mutant(originals[random.Next(originals.Length)], random);
            var before = GC.GetAllocatedBytesForCurrentThread();
            try
            {
                var picture = PictureFile.Decode(mutant, "mutant");
                Assert.Equal(picture.Width * picture.Height * 3, picture.Pixels.Length);
                read++;
            }
            catch (InputException error)
            {
                Assert.StartsWith("mutant: ", error.Message);
                Assert.DoesNotContain(error.Message, char.IsControl);
            }
            catch (Exception error) when (error is not Xunit.Sdk.XunitException)
            {
                Assert.Fail($"mutant {i} ({Convert.ToBase64String(mutant)}): {error}");
            }
            Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 7 * Pixels(mutant) + 2 * mutant.Length + Overhead);
        }
        output.WriteLine($"{read} of {Mutants} were read");
        Assert.InRange(read, Mutants / 20, Mutants * 19 / 20);
    }

    // The pixels that a header asks for, if it is believed.
    private static long Pixels(byte[] file)
    {
        try
        {
            var encoded = EncodedPicture.Of(file);
            return encoded.Width * encoded.Height is var pixels and <= PictureFile.MostPixels ? pixels : 0;
        }
        catch (InvalidDataException)
        {
            return 0;
        }
    }

    private static IEnumerable<byte[]> Pngs(Random random)
    {
        const int width = 13, height = 9;
        yield return PngBytes.Of(width, height, 8, PngBytes.Rgb, Rows(3 * width));
        yield return PngBytes.Of(width, height, 8, PngBytes.Rgba, Rows(4 * width), PngBytes.Chunk("gAMA", [0, 0, 0x27, 0x10]));
        yield return PngBytes.Of(width, height, 16, PngBytes.GreyAlpha, Rows(4 * width));
        yield return PngBytes.Of(
            width, height, 4, PngBytes.Palette, Rows((width + 1) / 2), PngBytes.Chunk("PLTE", Bytes(48)), PngBytes.Chunk("tRNS", Bytes(16)),
            PngBytes.Chunk("eXIf", JpegBytes.Exif(8, isLittleEndian: false)));
        yield return PngBytes.File(
            PngBytes.Header(width, height, 8, PngBytes.Grey, interlace: 1),
            PngBytes.Data(PngBytes.Interlaced(width, height, (x, y) => (byte)(x * y))), PngBytes.End);

        byte[] Rows(int length) => [.. Enumerable.Range(0, height).SelectMany(y => new[] { (byte)(y % 5) }.Concat(Bytes(length)))];

        byte[] Bytes(int count)
        {
            var bytes = new byte[count];
            random.NextBytes(bytes);
            return bytes;
        }
    }

    // A header, tables and rows that need not belong together: a checksum hides nothing of them from the decoder.
    private static byte[] RandomPng(Random random)
    {
        int[] depths = [1, 2, 4, 8, 16, 3], types = [0, 2, 3, 4, 6, 5];
        var (rows, end) = (new byte[random.Next(1, 3000)], random.Next(2) == 0 ? 5 : 256);    // filters are 0 to 4
        for (var i = 0; i < rows.Length; i++) rows[i] = (byte)random.Next(end);
        var header = PngBytes.Header(
            (uint)random.Next(1, 20), (uint)random.Next(1, 20), depths[random.Next(6)], types[random.Next(6)], random.Next(2));
        var palette = PngBytes.Chunk("PLTE", rows[..Math.Min(rows.Length, 3 * random.Next(20) + random.Next(20) / 19)]);
        var transparency = PngBytes.Chunk("tRNS", rows[..Math.Min(rows.Length, random.Next(8))]);
        return PngBytes.File(
            [header, .. random.Next(2) == 0 ? [] : new[] { palette }, .. random.Next(2) == 0 ? [] : new[] { transparency },
                PngBytes.Data(rows), PngBytes.End]);
    }

    private static byte[] Mutant(byte[] original, Random random)
    {
        byte[] file = [.. original];
        var changes = random.Next(1, 4);
        for (var change = 0; change < changes && file.Length > 64; change++)
            switch (random.Next(6))
            {
                case 0 or 1: file[random.Next(file.Length)] ^= (byte)(1 << random.Next(8)); break;
                case 2: file = file[..random.Next(file.Length)]; break;
                case 3: file = Spliced(file, random); break;
                case 4: ChangeLength(file, random); break;
                case 5: ChangeSide(file, random); break;
            }
        if (IsPng(file) && random.Next(4) > 0) PngBytes.MendChecksums(file);
        return file;
    }

    private static byte[] Spliced(byte[] file, Random random)
    {
        var inserted = new byte[random.Next(1, 20)];
        random.NextBytes(inserted);
        var at = random.Next(file.Length);
        return [.. file[..at], .. inserted, .. file[Math.Min(file.Length, at + random.Next(20))..]];
    }

    private static void ChangeLength(byte[] file, Random random)
    {
        if (IsPng(file))
        {
            if (PngBytes.Chunks(file).ToArray() is not { Length: > 0 } chunks) return;
            var (start, length) = chunks[random.Next(chunks.Length)];
            var other = random.Next(3) == 0 ? (uint)random.Next() : (uint)Math.Max(0, length + random.Next(-20, 20));
            BinaryPrimitives.WriteUInt32BigEndian(file.AsSpan(start), other);
        }
        else
        {
            int[] markers = [.. Enumerable.Range(0, file.Length - 4).Where(i => file[i] == 0xFF && file[i + 1] >= 0xC0)];
            if (markers.Length == 0) return;
            var length = (ushort)random.Next(1 << random.Next(17));
            BinaryPrimitives.WriteUInt16BigEndian(file.AsSpan(markers[random.Next(markers.Length)] + 2), length);
        }
    }

    // One side alone: two large ones are refused by their product, which a test of its own shows.
    private static void ChangeSide(byte[] file, Random random)
    {
        var side = (1L << random.Next(32)) + random.Next(-1, 2);
        if (IsPng(file)) BinaryPrimitives.WriteUInt32BigEndian(file.AsSpan(16 + 4 * random.Next(2)), (uint)side);
        else if (Array.FindIndex(file, 0, file.Length - 10, value => value is 0xC0 or 0xC2) is var frame and > 0 && file[frame - 1] == 0xFF)
            BinaryPrimitives.WriteUInt16BigEndian(file.AsSpan(frame + 4 + 2 * random.Next(2)), (ushort)side);
    }

    private static bool IsPng(byte[] file) => PngChunks.IsPng(file);
}
