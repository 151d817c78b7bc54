using System.Buffers.Binary;
using Transformer.Configuration;
using Transformer.Files;
using static TorchSharp.torch;

namespace Transformer.Formats;

/// <summary>
/// Writes Safetensors files: a header padded to a multiple of 8 bytes, then the tensors, those with the widest elements first, so that each
/// lies on a boundary of its element size. The model is streamed, never copied as a whole.
/// </summary>
public static class SafetensorsWriter
{
    /// <summary>Writes a file whole or not at all: beside its place first, then flushed to the disk and renamed.</summary>
    /// <param name="path">The file, replaced if it exists.</param>
    /// <param name="tensors">Tensors of any layout and device; each name once.</param>
    /// <param name="metadata">Free text about the file.</param>
    /// <exception cref="InputException">The file cannot be written: no folder, no permission, no space.</exception>
    /// <exception cref="ArgumentException">A name is given twice or is reserved, or the format has no such type.</exception>
    public static void Write(string path, IEnumerable<(string Name, Tensor Value)> tensors, IReadOnlyDictionary<string, string>? metadata = null)
    {
        var ordered = tensors.OrderBy(tensor => SafetensorsType.Of(tensor.Value.dtype).Rank).ThenBy(tensor => tensor.Name, StringComparer.Ordinal).ToList();
        var header = SafetensorsHeader.Format(Layout(ordered), metadata);
        var prefix = new byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(prefix, header.Length);
        DurableFile.Write(path, stream =>
        {
            stream.Write(prefix);
            stream.Write(header);
            foreach (var (_, value) in ordered) WriteBytes(stream, value);
        });
    }

    private static List<SafetensorsEntry> Layout(IEnumerable<(string Name, Tensor Value)> tensors)
    {
        var names = new HashSet<string>();
        var entries = new List<SafetensorsEntry>();
        long end = 0;
        foreach (var (name, value) in tensors)
        {
            if (SafetensorsHeader.Reserved(name) || !names.Add(name))
                throw new ArgumentException($"The name {name} is reserved or given twice.", nameof(tensors));
            var begin = end;
            end += value.numel() * SafetensorsType.Of(value.dtype).Size;
            entries.Add(new SafetensorsEntry(name, value.dtype, value.shape, begin, end));
        }
        return entries;
    }

    private static void WriteBytes(Stream stream, Tensor tensor)
    {
        using var scope = NewDisposeScope();
        TensorBytes.Visit(tensor.detach().cpu().contiguous(), chunk => stream.Write(chunk));
    }
}
