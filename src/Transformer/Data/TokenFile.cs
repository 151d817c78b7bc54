using System.Buffers.Binary;
using System.IO.MemoryMappedFiles;
using System.Numerics;
using System.Runtime.InteropServices;
using Transformer.Configuration;
using Transformer.Files;

namespace Transformer.Data;

/// <summary>
/// Tokens in a memory-mapped file, which may be larger than the memory. Little-endian: 8 bytes "TKNSEQ" and two zeros, int32 version 1,
/// int32 bytes per id (2 where the vocabulary has at most 65,536 tokens, else 4), int64 number of ids, int64 vocabulary size, then the ids.
/// </summary>
public sealed class TokenFile : TokenSequence
{
    private const int HeaderLength = 32, Version = 1, Chunk = 4096;
    private readonly string path;
    private readonly int width;
    private readonly MemoryMappedFile file;
    private readonly MemoryMappedViewAccessor view;

    private TokenFile(string path, int width, long length, int vocabularySize, MemoryMappedFile file)
    {
        (this.path, this.width, Length, VocabularySize, this.file) = (path, width, length, vocabularySize, file);
        view = file.CreateViewAccessor(0, 0, MemoryMappedFileAccess.Read);
    }

    /// <inheritdoc/>
    public override long Length { get; }

    /// <summary>The number of tokens of the tokenizer that made the ids.</summary>
    public int VocabularySize { get; }

    private static ReadOnlySpan<byte> Magic => "TKNSEQ\0\0"u8;

    /// <summary>Maps a token file.</summary>
    /// <exception cref="InputException">The file is missing, is no token file, or is incomplete.</exception>
    public static TokenFile Open(string path)
    {
        try
        {
            using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read);
            var header = new byte[HeaderLength];
            if (stream.ReadAtLeast(header, HeaderLength, throwOnEndOfStream: false) < HeaderLength || !header.AsSpan().StartsWith(Magic))
            {
                throw new InputException($"{path}: not a token file; prepare one from text with `{ShellCommand.Of("data", "prepare")}`");
            }
            var version = BinaryPrimitives.ReadInt32LittleEndian(header.AsSpan(8));
            var width = BinaryPrimitives.ReadInt32LittleEndian(header.AsSpan(12));
            var length = BinaryPrimitives.ReadInt64LittleEndian(header.AsSpan(16));
            var vocabularySize = BinaryPrimitives.ReadInt64LittleEndian(header.AsSpan(24));
            if (version != Version)
                throw new InputException($"{path}: found version {version} of the token file, expected {Version}; prepare the text again");
            if (vocabularySize is < 1 or > int.MaxValue || width != WidthFor((int)vocabularySize))
            {
                throw new InputException(
                    $"{path}: damaged header ({width} bytes per id, {vocabularySize} tokens in the vocabulary); prepare the text again");
            }
            var expected = length is < 0 or > (long.MaxValue - HeaderLength) / sizeof(int) ? -1 : HeaderLength + length * width;
            if (stream.Length != expected)
            {
                throw new InputException(
                    $"{path}: {stream.Length} bytes, but the header says {length} ids of {width} bytes; " +
                    "the file was cut or damaged, prepare the text again");
            }
            var file = MemoryMappedFile.CreateFromFile(path, FileMode.Open, mapName: null, capacity: 0, MemoryMappedFileAccess.Read);
            return new(path, width, length, (int)vocabularySize, file);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InputException($"{path}: cannot be read ({e.Message})", e);
        }
    }

    /// <summary>Writes a token file, whole or not at all, holding one piece in memory.</summary>
    /// <param name="path">The file; an old one is replaced.</param>
    /// <param name="vocabularySize">The number of tokens of the tokenizer.</param>
    /// <param name="pieces">The ids in their order; each less than the vocabulary size.</param>
    /// <exception cref="InputException">The file cannot be written.</exception>
    public static void Write(string path, int vocabularySize, IEnumerable<int[]> pieces) => DurableFile.Write(path, stream =>
    {
        var width = WidthFor(vocabularySize);
        var length = 0L;
        stream.Position = HeaderLength;
        foreach (var ids in pieces)
        {
            stream.Write(width == sizeof(ushort)
                ? MemoryMarshal.AsBytes<ushort>(Array.ConvertAll(ids, id => (ushort)id))
                : MemoryMarshal.AsBytes<int>(ids));
            length += ids.Length;
        }
        var header = new byte[HeaderLength];
        Magic.CopyTo(header);
        BinaryPrimitives.WriteInt32LittleEndian(header.AsSpan(8), Version);
        BinaryPrimitives.WriteInt32LittleEndian(header.AsSpan(12), width);
        BinaryPrimitives.WriteInt64LittleEndian(header.AsSpan(16), length);
        BinaryPrimitives.WriteInt64LittleEndian(header.AsSpan(24), vocabularySize);
        stream.Position = 0;
        stream.Write(header);
    });

    private protected override void Copy(long offset, Span<long> into)
    {
        if (width == sizeof(ushort)) CopyIds<ushort>(offset, into);
        else CopyIds<int>(offset, into);
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            view.Dispose();
            file.Dispose();
        }
        base.Dispose(disposing);
    }

    private void CopyIds<T>(long offset, Span<long> into) where T : unmanaged, IBinaryInteger<T>
    {
        Span<T> ids = stackalloc T[Math.Min(into.Length, Chunk)];
        while (!into.IsEmpty)
        {
            ids = ids[..Math.Min(ids.Length, into.Length)];
            view.SafeMemoryMappedViewHandle.ReadSpan((ulong)(HeaderLength + offset * width), ids);
            for (var i = 0; i < ids.Length; i++)
            {
                var id = int.CreateTruncating(ids[i]);
                into[i] = (uint)id < (uint)VocabularySize
                    ? id
                    : throw new InputException(
                        $"{path}: id {id} at token {offset + i} is outside the vocabulary of {VocabularySize}; " +
                        "the file is damaged, prepare the text again");
            }
            offset += ids.Length;
            into = into[ids.Length..];
        }
    }

    private static int WidthFor(int vocabularySize) => vocabularySize <= 1 << 16 ? sizeof(ushort) : sizeof(int);
}
