using System.IO.MemoryMappedFiles;
using Transformer.Configuration;

namespace Transformer.Formats.Gguf;

/// <summary>
/// A GGUF file, as llama.cpp reads and writes them: metadata as keys and values, then the tensors, plain or quantised in blocks. The header
/// is checked on opening, before anything is allocated for a tensor.
/// </summary>
public sealed class GgufFile : IDisposable
{
    private readonly string path;
    private readonly GgufHeader header;
    private readonly MemoryMappedFile map;
    private readonly MemoryMappedViewAccessor view;

    private GgufFile(string path, GgufHeader header, MemoryMappedFile map)
    {
        (this.path, this.header, this.map) = (path, header, map);
        view = map.CreateViewAccessor(0, 0, MemoryMappedFileAccess.Read);
    }

    /// <summary>What the file says about the model: numbers, truth values, texts and arrays of these.</summary>
    public IReadOnlyDictionary<string, object> Metadata => header.Metadata;

    /// <summary>The names of the tensors, in the order of their bytes.</summary>
    public IEnumerable<string> Names => header.Tensors.Keys;

    /// <summary>Opens a file and checks its header.</summary>
    /// <exception cref="InputException">There is no such file, it cannot be read, or it is not valid.</exception>
    public static GgufFile Open(string path)
    {
        try
        {
            using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete, bufferSize: 1 << 16);
            var header = GgufHeader.Read(path, stream);
            return new GgufFile(
                path, header,
                MemoryMappedFile.CreateFromFile(stream, null, 0, MemoryMappedFileAccess.Read, HandleInheritability.None, leaveOpen: false));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InputException($"{path}: cannot be read ({e.Message})", e);
        }
    }

    /// <summary>The dimensions of a tensor, the last one running fastest.</summary>
    /// <exception cref="InputException">The file has no such tensor.</exception>
    public IReadOnlyList<long> Shape(string name) => Entry(name).Shape;

    /// <summary>What a tensor is made of, as ggml calls it: F32, Q8_0 and so on.</summary>
    /// <exception cref="InputException">The file has no such tensor.</exception>
    public string Type(string name) => Entry(name).Type.Name;

    /// <summary>A tensor, mapped from the file for as long as this is open.</summary>
    /// <returns>A tensor of the file's type, or in single precision where the file holds blocks.</returns>
    /// <exception cref="InputException">The file has no such tensor.</exception>
    public unsafe StoredTensor Tensor(string name)
    {
        var entry = Entry(name);
        byte* start = null;
        view.SafeMemoryMappedViewHandle.AcquirePointer(ref start);    // given back with the view itself
        view.SafeMemoryMappedViewHandle.ReleasePointer();
        var address = (nint)(start + view.PointerOffset + header.DataStart + entry.Begin);
        return entry.Type.Blocks is { } format
            ? new GgufBlocks(new(name, ElementType.U8, [entry.Bytes], address, view.SafeMemoryMappedViewHandle), entry.Shape, format)
            : new MemoryTensor(name, entry.Type.Element, entry.Shape, address, view.SafeMemoryMappedViewHandle);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        view.Dispose();
        map.Dispose();
    }

    private GgufTensor Entry(string name) =>
        header.Tensors.TryGetValue(name, out var entry) ? entry : throw new InputException($"{path}: has no tensor {name}");
}
