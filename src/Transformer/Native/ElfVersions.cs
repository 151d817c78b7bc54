using System.Buffers.Binary;
using System.Text;

namespace Transformer.Native;

/// <summary>The symbol versions that a 64-bit little-endian ELF library needs from others (section .gnu.version_r).</summary>
internal static class ElfVersions
{
    private const uint SectionOfNeeds = 0x6ffffffe;    // SHT_GNU_verneed
    private const ushort Weak = 0x2;                   // VER_FLG_WEAK: the loader warns instead of refusing

    /// <summary>Marks a needed version as weak, so that the loader accepts a system without it.</summary>
    /// <param name="image">The bytes of the library; changed in place.</param>
    /// <param name="version">The name of the version, e.g. GLIBCXX_3.4.32.</param>
    public static void MakeWeak(Span<byte> image, string version)
    {
        var headers = (int)BinaryPrimitives.ReadUInt64LittleEndian(image[0x28..]);
        var headerSize = BinaryPrimitives.ReadUInt16LittleEndian(image[0x3A..]);
        var count = BinaryPrimitives.ReadUInt16LittleEndian(image[0x3C..]);
        for (var i = 0; i < count; i++)
        {
            var header = image[(headers + i * headerSize)..];
            if (BinaryPrimitives.ReadUInt32LittleEndian(header[4..]) != SectionOfNeeds) continue;
            var names = image[(headers + (int)BinaryPrimitives.ReadUInt32LittleEndian(header[40..]) * headerSize)..];
            var needs = (int)BinaryPrimitives.ReadUInt64LittleEndian(header[24..]);
            MakeWeak(image, needs, (int)BinaryPrimitives.ReadUInt64LittleEndian(names[24..]), Encoding.ASCII.GetBytes(version + '\0'));
        }
    }

    private static void MakeWeak(Span<byte> image, int needs, int names, ReadOnlySpan<byte> version)
    {
        for (int library = needs, next = -1; next != 0; library += next)
        {
            next = (int)BinaryPrimitives.ReadUInt32LittleEndian(image[(library + 12)..]);
            var entry = library + (int)BinaryPrimitives.ReadUInt32LittleEndian(image[(library + 8)..]);
            for (var step = -1; step != 0; entry += step)
            {
                step = (int)BinaryPrimitives.ReadUInt32LittleEndian(image[(entry + 12)..]);
                var name = names + (int)BinaryPrimitives.ReadUInt32LittleEndian(image[(entry + 8)..]);
                if (image[name..].StartsWith(version)) BinaryPrimitives.WriteUInt16LittleEndian(image[(entry + 4)..], Weak);
            }
        }
    }
}
