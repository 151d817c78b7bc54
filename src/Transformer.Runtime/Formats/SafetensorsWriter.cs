using System.Buffers.Binary;
using Transformer.Configuration;
using Transformer.Files;

namespace Transformer.Formats;

/// <summary>
/// Writes Safetensors files: a header padded to a multiple of 8 bytes, then the tensors, those with the widest elements first, so that each
/// is aligned to its element size. The model is streamed, never copied as a whole.
/// </summary>
public static class SafetensorsWriter
{
    /// <summary>Writes a file atomically: to a temporary file beside it, flushed to the disk and renamed.</summary>
    /// <param name="path">The file, replaced if it exists.</param>
    /// <param name="tensors">The tensors; each name once.</param>
    /// <param name="metadata">Free text about the file.</param>
    /// <exception cref="InputException">The file cannot be written: no folder, no permission, no space.</exception>
    /// <exception cref="ArgumentException">A name is given twice or is reserved.</exception>
    public static void Write(string path, IEnumerable<StoredTensor> tensors, IReadOnlyDictionary<string, string>? metadata = null)
    {
        var ordered = tensors.OrderBy(tensor => tensor.Type).ThenBy(tensor => tensor.Name, StringComparer.Ordinal).ToList();
        var header = SafetensorsHeader.Format(Layout(ordered), metadata);
        var prefix = new byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(prefix, header.Length);
        DurableFile.Write(path, stream =>
        {
            stream.Write(prefix);
            stream.Write(header);
            foreach (var tensor in ordered) tensor.Visit(chunk => stream.Write(chunk));
        });
    }

    private static List<SafetensorsEntry> Layout(IEnumerable<StoredTensor> tensors)
    {
        var names = new HashSet<string>();
        var entries = new List<SafetensorsEntry>();
        long end = 0;
        foreach (var tensor in tensors)
        {
            if (SafetensorsHeader.Reserved(tensor.Name) || !names.Add(tensor.Name))
                throw new ArgumentException($"The name {tensor.Name} is reserved or given twice.", nameof(tensors));
            var begin = end;
            end += tensor.Bytes;
            entries.Add(new SafetensorsEntry(tensor.Name, tensor.Type, [.. tensor.Shape], begin, end));
        }
        return entries;
    }
}
