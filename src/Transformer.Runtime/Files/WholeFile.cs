using System.Text;

namespace Transformer.Files;

/// <summary>
/// Files that are read whole: settings, prompts, tokenizers. All are read here, within a bound, since what a path names may have no end: a
/// device, or a pipe.
/// </summary>
internal static class WholeFile
{
    /// <summary>The most bytes of a file that people write.</summary>
    public const long Most = 64 << 20;

    /// <summary>The most bytes of a tokenizer or another table that a tool writes.</summary>
    public const long MostOfTable = 1 << 30;

    private static readonly UTF8Encoding Strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);
    private static int waiting;

    /// <summary>Whether something is read whose writer may never write or end: a signal should then end the process at once.</summary>
    public static bool IsWaiting => Volatile.Read(ref waiting) > 0;

    /// <summary>The bytes of a file.</summary>
    /// <param name="path">The file.</param>
    /// <param name="most">How many there may be.</param>
    /// <exception cref="IOException">It cannot be read, or has more bytes.</exception>
    /// <exception cref="UnauthorizedAccessException">It may not be read, or is a folder.</exception>
    public static byte[] Bytes(string path, long most = Most)
    {
        var length = File.Exists(path) ? new FileInfo(path).Length : 0;
        if (length == 0) Interlocked.Increment(ref waiting);
        try
        {
            using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0);
            using var content = new MemoryStream((int)Math.Min(length, most));
            var buffer = new byte[1 << 16];
            for (int read; (read = stream.Read(buffer)) > 0;)
            {
                if (content.Length + read > most) throw new IOException($"it has more than {most >> 20} MiB");
                content.Write(buffer, 0, read);
            }
            return content.ToArray();
        }
        finally
        {
            if (length == 0) Interlocked.Decrement(ref waiting);
        }
    }

    /// <summary>The text of a file in UTF-8, or in the encoding that its first bytes name.</summary>
    /// <inheritdoc cref="Bytes"/>
    /// <exception cref="DecoderFallbackException">It has bytes that are not UTF-8.</exception>
    public static string Text(string path, long most = Most)
    {
        using var reader = new StreamReader(new MemoryStream(Bytes(path, most)), Strict);
        try
        {
            return reader.ReadToEnd();
        }
        catch (DecoderFallbackException e)
        {
            throw new DecoderFallbackException("found bytes that are not UTF-8", e);
        }
    }

    /// <summary>The lines of a text.</summary>
    /// <inheritdoc cref="Text"/>
    public static IEnumerable<string> Lines(string path, long most = Most)
    {
        using var reader = new StringReader(Text(path, most));
        while (reader.ReadLine() is { } line) yield return line;
    }
}
