using System.IO.MemoryMappedFiles;
using System.Runtime.InteropServices;
using Transformer.Configuration;
using Transformer.Quantization;
using static TorchSharp.torch;

namespace Transformer.Formats.Gguf;

/// <summary>
/// A GGUF file, as llama.cpp reads and writes them: what is known about the model as keys and values, then the tensors, plain or quantised in blocks. The
/// header is checked on opening, before anything is allocated for a tensor.
/// </summary>
public sealed class GgufFile : IDisposable
{
    private const int BlocksAtOnce = 4096;

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
            return new GgufFile(path, header, MemoryMappedFile.CreateFromFile(stream, null, 0, MemoryMappedFileAccess.Read, HandleInheritability.None, leaveOpen: false));
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

    /// <summary>Copies a tensor out of the file.</summary>
    /// <returns>A new tensor on the CPU: of the file's type, or in float32 where the file holds blocks.</returns>
    /// <exception cref="InputException">The file has no such tensor.</exception>
    public Tensor Read(string name)
    {
        var entry = Entry(name);
        var tensor = empty(entry.Shape, entry.Type.Scalar, CPU);
        var position = header.DataStart + entry.Begin;
        TensorBytes.Visit(tensor, chunk => position += entry.Type.Blocks is { } blocks ? Dequantize(position, blocks, chunk) : ReadBytes(position, chunk));
        return tensor;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        view.Dispose();
        map.Dispose();
    }

    private GgufTensor Entry(string name) => header.Tensors.TryGetValue(name, out var entry) ? entry : throw new InputException($"{path}: has no tensor {name}");

    private long Dequantize(long position, BlockFormat format, Span<byte> numbers)
    {
        var rest = MemoryMarshal.Cast<byte, float>(numbers);
        var (buffer, read) = (new byte[BlocksAtOnce * format.Bytes], 0L);
        while (!rest.IsEmpty)
        {
            var part = rest[..Math.Min(rest.Length, BlocksAtOnce * format.Length)];
            var blocks = buffer.AsSpan(0, (int)format.BytesOf(part.Length));
            read += ReadBytes(position + read, blocks);
            format.Dequantize(blocks, part);
            rest = rest[part.Length..];
        }
        return read;
    }

    private long ReadBytes(long offset, Span<byte> destination)
    {
        view.SafeMemoryMappedViewHandle.ReadSpan((ulong)offset, destination);
        return destination.Length;
    }
}
