using System.Buffers.Binary;

namespace Transformer.Data.Images;

/// <summary>The tag of EXIF by which a camera says how it was held.</summary>
internal static class ExifOrientation
{
    private const int Tag = 0x112, EntryLength = 12, UInt16Type = 3;

    /// <summary>The orientation in the first directory of a TIFF block.</summary>
    /// <returns>1 to 8; 1, upright, where there is no such tag, or it is none of these, as cameras write 0 for unknown.</returns>
    public static int Of(ReadOnlySpan<byte> tiff)
    {
        if (tiff.Length < 8) return 1;
        var isLittleEndian = tiff.StartsWith("II*\0"u8);
        if (!isLittleEndian && !tiff.StartsWith("MM\0*"u8)) return 1;
        var directory = isLittleEndian
            ? BinaryPrimitives.ReadUInt32LittleEndian(tiff[4..]) : BinaryPrimitives.ReadUInt32BigEndian(tiff[4..]);
        if (directory > tiff.Length - 2) return 1;
        var entries = tiff[(int)directory..];
        var count = UInt16(entries);
        for (entries = entries[2..]; count > 0 && entries.Length >= EntryLength; count--, entries = entries[EntryLength..])
            if (UInt16(entries) == Tag && UInt16(entries[2..]) == UInt16Type)
                return UInt16(entries[8..]) is var value and >= 1 and <= 8 ? value : 1;
        return 1;

        int UInt16(ReadOnlySpan<byte> at) =>
            isLittleEndian ? BinaryPrimitives.ReadUInt16LittleEndian(at) : BinaryPrimitives.ReadUInt16BigEndian(at);
    }
}
