using System.Buffers;
using System.Text.Unicode;
using Transformer.Configuration;

namespace Transformer.Data;

/// <summary>
/// Reads UTF-8 strictly: the first wrong byte is reported by its offset. A byte order byteOrderMark at the start is dropped; line ends are
/// kept.
/// </summary>
internal sealed class Utf8TextReader(Stream stream, string name) : TextReader
{
    private readonly byte[] bytes = new byte[1 << 16];
    private readonly char[] characters = new char[1 << 16];
    private int byteCount, characterCount, next;
    private long offset;
    private bool ended;

    /// <inheritdoc/>
    public override int Peek() => next < characterCount || Fill() ? characters[next] : -1;

    /// <inheritdoc/>
    public override int Read() => next < characterCount || Fill() ? characters[next++] : -1;

    /// <inheritdoc/>
    public override int Read(char[] buffer, int index, int count) => Read(buffer.AsSpan(index, count));

    /// <inheritdoc/>
    public override int Read(Span<char> buffer)
    {
        if (next == characterCount && !Fill()) return 0;
        var part = characters.AsSpan(next, Math.Min(buffer.Length, characterCount - next));
        part.CopyTo(buffer);
        next += part.Length;
        return part.Length;
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing) stream.Dispose();
        base.Dispose(disposing);
    }

    private bool Fill()
    {
        (next, characterCount) = (0, 0);
        while (characterCount == 0 && !(ended && byteCount == 0))
        {
            var read = stream.ReadAtLeast(bytes.AsSpan(byteCount), bytes.Length - byteCount, throwOnEndOfStream: false);
            ended = byteCount + read < bytes.Length;
            byteCount += read;
            var text = bytes.AsSpan(0, byteCount);
            var byteOrderMark = offset == 0 && text.StartsWith("\uFEFF"u8) ? 3 : 0;
            var status = Utf8.ToUtf16(
                text[byteOrderMark..], characters, out var used, out characterCount, replaceInvalidSequences: false, isFinalBlock: ended);
            used += byteOrderMark;
            if (status == OperationStatus.InvalidData)
            {
                throw new InputException(
                    $"{name}: not UTF-8: the byte 0x{text[used]:X2} at offset {offset + used} fits no character. " +
                    "Convert the file to UTF-8, for example with iconv");
            }
            text[used..].CopyTo(bytes);
            (byteCount, offset) = (byteCount - used, offset + used);
        }
        return characterCount > 0;
    }
}
