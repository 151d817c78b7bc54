using System.Text;
using Transformer.Configuration;
using Transformer.Files;
using Transformer.Quantization;

namespace Transformer.Formats.Gguf;

/// <summary>Writes GGUF files: version 3, the tensors on boundaries of 32 bytes. Matrices are quantised while they are written.</summary>
internal static class GgufWriter
{
    private const uint ArrayType = 9;
    private const int BlocksAtOnce = 4096, NumbersAtOnce = 1 << 14;

    /// <summary>Writes a file atomically.</summary>
    /// <param name="path">The file, replaced if it exists.</param>
    /// <param name="metadata">Keys and values: uint, int, float, bool, string, and arrays of int, float and string.</param>
    /// <param name="tensors">The tensors, with the types that they are to have in the file.</param>
    /// <exception cref="InputException">The file cannot be written: no folder, no permission, no space.</exception>
    public static void Write(
        string path,
        IReadOnlyCollection<KeyValuePair<string, object>> metadata, IReadOnlyList<(StoredTensor Tensor, GgufTensorType Type)> tensors) =>
        DurableFile.Write(path, stream =>
        {
            using var writer = new BinaryWriter(stream, Encoding.UTF8, leaveOpen: true);
            writer.Write(GgufHeader.Magic);
            writer.Write(GgufHeader.Version);
            writer.Write((ulong)tensors.Count);
            writer.Write((ulong)metadata.Count);
            foreach (var (key, value) in metadata)
            {
                WriteText(writer, key);
                WriteValue(writer, value);
            }
            long begin = 0;
            foreach (var (tensor, type) in tensors)
            {
                WriteText(writer, tensor.Name);
                writer.Write((uint)tensor.Shape.Count);
                foreach (var dimension in tensor.Shape.Reverse()) writer.Write(dimension);
                writer.Write(type.Id);
                writer.Write(begin);
                begin = GgufHeader.Aligned(begin + type.BytesOf(tensor.Count), GgufHeader.DefaultAlignment);
            }
            foreach (var (tensor, type) in tensors)
            {
                writer.Flush();
                Pad(stream);
                WriteTensor(stream, tensor, type);
            }
            Pad(stream);
        });

    private static void WriteText(BinaryWriter writer, string text)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        writer.Write((ulong)bytes.Length);
        writer.Write(bytes);
    }

    private static void WriteValue(BinaryWriter writer, object value)
    {
        uint type = value switch
        {
            uint => 4,
            int or int[] => 5,
            float or float[] => 6,
            bool => 7,
            string or string[] => 8,
            _ => throw new ArgumentException($"a metadata value of type {value.GetType().Name}", nameof(value)),
        };
        if (value is Array array)
        {
            writer.Write(ArrayType);
            writer.Write(type);
            writer.Write((ulong)array.Length);
            foreach (var element in array) WriteBare(writer, element!);
            return;
        }
        writer.Write(type);
        WriteBare(writer, value);
    }

    private static void WriteBare(BinaryWriter writer, object value)
    {
        switch (value)
        {
            case uint number: writer.Write(number); break;
            case int number: writer.Write(number); break;
            case float number: writer.Write(number); break;
            case bool flag: writer.Write(flag); break;
            case string text: WriteText(writer, text); break;
        }
    }

    private static void WriteTensor(Stream stream, StoredTensor tensor, GgufTensorType type)
    {
        if (type.Blocks is { } format) tensor.VisitSingles(numbers => WriteBlocks(stream, numbers, format));
        else if (tensor.Type == type.Element) tensor.Visit(chunk => stream.Write(chunk));
        else tensor.VisitSingles(numbers => WriteNumbers(stream, numbers, type.Element));
    }

    private static void WriteNumbers(Stream stream, ReadOnlySpan<float> numbers, ElementType type)
    {
        var buffer = new byte[NumbersAtOnce * type.Size()];
        while (!numbers.IsEmpty)
        {
            var part = numbers[..Math.Min(numbers.Length, NumbersAtOnce)];
            stream.Write(buffer.AsSpan(0, ElementConversion.FromSingles(type, part, buffer)));
            numbers = numbers[part.Length..];
        }
    }

    private static void WriteBlocks(Stream stream, ReadOnlySpan<float> numbers, BlockFormat format)
    {
        var buffer = new byte[BlocksAtOnce * format.Bytes];
        while (!numbers.IsEmpty)
        {
            var part = numbers[..Math.Min(numbers.Length, BlocksAtOnce * format.Length)];
            var blocks = buffer.AsSpan(0, (int)format.BytesOf(part.Length));
            format.Quantize(part, blocks);
            stream.Write(blocks);
            numbers = numbers[part.Length..];
        }
    }

    private static void Pad(Stream stream) =>
        stream.Write(new byte[GgufHeader.Aligned(stream.Position, GgufHeader.DefaultAlignment) - stream.Position]);
}
