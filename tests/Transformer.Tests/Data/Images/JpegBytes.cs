using System.Buffers.Binary;

namespace Transformer.Tests.Data.Images;

/// <summary>
/// JPEG files of 16 x 16 pixels: red grows by 16 per column, green by 16 per row, blue is 128. Written by Pillow, quality 90, 4:4:4.
/// </summary>
internal static class JpegBytes
{
    public const int Side = 16;

    private static readonly byte[] ExifName = [.. "Exif\0\0"u8];

    public static byte[] Baseline { get; } = Convert.FromBase64String(
        "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAMCAgMCAgMDAwMEAwMEBQgFBQQEBQoHBwYIDAoMDAsKCwsNDhIQDQ4RDgsLEBYQERMUFRUVDA8XGBYUGBIUFRT/" +
        "2wBDAQMEBAUEBQkFBQkUDQsNFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBT/wAARCAAQABADAREAAhEBAxEB/8QA" +
        "FQABAQAAAAAAAAAAAAAAAAAABwj/xAAZEAABBQAAAAAAAAAAAAAAAAAABgcjMqH/xAAYAQACAwAAAAAAAAAAAAAAAAAGCAUHCf/EABsRAAICAwEAAAAAAAAA" +
        "AAAAAAAFBCEGMTIi/9oADAMBAAIRAxEAPwCVUo1NIcLgmON2R+Nv+fQzJNqaQ4A0xxuxq8bf8+hiSbU0hwB5jjdmY2NvubGZKNTSHAFmON2NVjb7mz//2Q==");

    /// <summary>The same coefficients in nine scans.</summary>
    public static byte[] Progressive { get; } = Convert.FromBase64String(
        "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAMCAgMCAgMDAwMEAwMEBQgFBQQEBQoHBwYIDAoMDAsKCwsNDhIQDQ4RDgsLEBYQERMUFRUVDA8XGBYUGBIUFRT/" +
        "2wBDAQMEBAUEBQkFBQkUDQsNFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBT/wgARCAAQABADAREAAhEBAxEB/8QA" +
        "FQABAQAAAAAAAAAAAAAAAAAABgf/xAAYAQACAwAAAAAAAAAAAAAAAAAFBwQGCP/aAAwDAQACEAMQAAABlVwjswTVYg8xswTV/8QAFhAAAwAAAAAAAAAAAAAA" +
        "AAAAAAQF/9oACAEBAAEFAlZQpKFJQrKP/8QAGBEAAwEBAAAAAAAAAAAAAAAAAAQFMSH/2gAIAQMBAT8Bmv50mv50mv4TX8P/xAAWEQADAAAAAAAAAAAAAAAA" +
        "AAAAAwT/2gAIAQIBAT8BdYOsHWDrD//EABUQAQEAAAAAAAAAAAAAAAAAAAAx/9oACAEBAAY/AoiI/8QAFRABAQAAAAAAAAAAAAAAAAAAADH/2gAIAQEAAT8h" +
        "mxYs3//aAAwDAQACAAMAAAAQDS//xAAWEQEBAQAAAAAAAAAAAAAAAAAAURD/2gAIAQMBAT8QxEoUP//EABYRAAMAAAAAAAAAAAAAAAAAAAAhMf/aAAgBAgEB" +
        "PxCjKMoyjP/EABUQAQEAAAAAAAAAAAAAAAAAAADx/9oACAEBAAE/EJSEhJT/2Q==");

    /// <summary>A file with a segment more, right after its start.</summary>
    public static byte[] With(byte marker, byte[] data, byte[] file) => [.. file[..2], .. Segment(marker, data), .. file[2..]];

    /// <summary>A file with an orientation in EXIF.</summary>
    public static byte[] Turned(int orientation, byte[] file) =>
        With(0xE1, [.. ExifName, .. Exif(orientation, isLittleEndian: true)], file);

    public static byte[] Segment(byte marker, byte[] data) =>
        [0xFF, marker, (byte)((data.Length + 2) >> 8), (byte)(data.Length + 2), .. data];

    /// <summary>Where the header of the frame begins: its marker, length, precision, height, width and number of colours.</summary>
    public static int Frame(byte[] file) =>
        Enumerable.Range(0, file.Length - 1).First(i => file[i] == 0xFF && file[i + 1] is 0xC0 or 0xC2);

    /// <summary>The TIFF block of EXIF: a directory of another tag and the orientation.</summary>
    public static byte[] Exif(int orientation, bool isLittleEndian, int type = 3)
    {
        (int Bytes, long Value)[] fields =
        [
            (2, 42), (4, 8), (2, 2),
            (2, 0x100), (2, 4), (4, 1), (4, 6),
            (2, 0x112), (2, type), (4, 1), (2, orientation), (2, 0),
            (4, 0),
        ];
        return [.. isLittleEndian ? "II"u8 : "MM"u8, .. fields.SelectMany(field => Bytes(field.Bytes, field.Value))];

        byte[] Bytes(int count, long value)
        {
            var bytes = new byte[8];
            BinaryPrimitives.WriteInt64LittleEndian(bytes, value);
            return isLittleEndian ? bytes[..count] : [.. bytes[..count].Reverse()];
        }
    }
}
