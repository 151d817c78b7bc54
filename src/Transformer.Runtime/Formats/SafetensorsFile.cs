using System.Buffers.Binary;
using System.IO.MemoryMappedFiles;
using Transformer.Configuration;
using Transformer.Files;

namespace Transformer.Formats;

/// <summary>
/// A Safetensors file, mapped into memory: the length of the header in 8 bytes, a JSON header with the position of each tensor, then the
/// tensors' bytes. Everything is checked on opening, before anything is allocated for a tensor.
/// </summary>
public sealed class SafetensorsFile : IDisposable
{
    private const int PrefixLength = 8;

    private readonly SafetensorsHeader header;
    private readonly long dataStart;
    private readonly MemoryMappedFile map;
    private readonly MemoryMappedViewAccessor view;

    private SafetensorsFile(string path, MemoryMappedFile map, long length)
    {
        Path = path;
        this.map = map;
        view = map.CreateViewAccessor(0, length, MemoryMappedFileAccess.Read);
        try
        {
            Span<byte> prefix = stackalloc byte[PrefixLength];
            ReadBytes(0, prefix);
            var headerLength = BinaryPrimitives.ReadUInt64LittleEndian(prefix);
            var most = Math.Min((ulong)(length - PrefixLength), SafetensorsHeader.MaximumLength);
            if (headerLength > most)
                throw new InputException(
                    $"{path}: not a valid Safetensors file\n  the header's length is given as {headerLength}, expected at most {most}. " +
                    "The file is cut off or of another format.");
            var json = new byte[headerLength];
            ReadBytes(PrefixLength, json);
            dataStart = PrefixLength + json.Length;
            header = SafetensorsHeader.Parse(path, json, length - dataStart);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>The file.</summary>
    public string Path { get; }

    /// <summary>The names of the tensors, in the order of their bytes.</summary>
    public IEnumerable<string> Names =>
        header.Entries.Values.OrderBy(entry => entry.Begin).ThenBy(entry => entry.End).Select(entry => entry.Name);

    /// <summary>The metadata of the file.</summary>
    public IReadOnlyDictionary<string, string> Metadata => header.Metadata;

    /// <summary>Opens and checks a file.</summary>
    /// <exception cref="InputException">There is no such file, it cannot be read, or it is not valid.</exception>
    public static SafetensorsFile Open(string path)
    {
        try
        {
            if (RegularFile.IsOther(path)) throw new IOException("it is a folder, a pipe or a device, expected a file");
            using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete);
            var length = stream.Length;
            if (length < PrefixLength)
                throw new InputException(
                    $"{path}: not a valid Safetensors file\n  it has {length} bytes, expected at least {PrefixLength}");
            var map = MemoryMappedFile.CreateFromFile(
                stream, null, 0, MemoryMappedFileAccess.Read, HandleInheritability.None, leaveOpen: false);
            return new SafetensorsFile(path, map, length);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or NotSupportedException)    // the latter for a pipe
        {
            throw new InputException($"{path}: cannot be read ({e.Message})", e);
        }
    }

    /// <summary>Whether the file holds a tensor of this name.</summary>
    public bool Contains(string name) => header.Entries.ContainsKey(name);

    /// <summary>The dimensions of a tensor.</summary>
    /// <exception cref="InputException">The file has no such tensor.</exception>
    public IReadOnlyList<long> Shape(string name) => Entry(name).Shape;

    /// <summary>The type of a tensor's elements.</summary>
    /// <exception cref="InputException">The file has no such tensor.</exception>
    public ElementType Type(string name) => Entry(name).Type;

    /// <summary>A tensor, mapped from the file for as long as this is open.</summary>
    /// <exception cref="InputException">The file has no such tensor.</exception>
    public unsafe MemoryTensor Tensor(string name)
    {
        var entry = Entry(name);
        byte* start = null;
        view.SafeMemoryMappedViewHandle.AcquirePointer(ref start);    // given back with the view itself
        view.SafeMemoryMappedViewHandle.ReleasePointer();
        return new(
            name, entry.Type, entry.Shape, (nint)(start + view.PointerOffset + dataStart + entry.Begin), view.SafeMemoryMappedViewHandle);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        view.Dispose();
        map.Dispose();
    }

    private SafetensorsEntry Entry(string name) => header.Entries.TryGetValue(name, out var entry)
        ? entry
        : throw new InputException($"{Path}: has no tensor {name}");

    private void ReadBytes(long offset, Span<byte> destination) => view.SafeMemoryMappedViewHandle.ReadSpan((ulong)offset, destination);
}
