namespace Transformer.Data;

/// <summary>Reads no more than the given number of characters (code points) of a text and leaves the rest in it.</summary>
internal sealed class LimitedTextReader(TextReader text, long count) : TextReader
{
    private long left = count;
    private bool insidePair;

    /// <inheritdoc/>
    public override int Read()
    {
        Span<char> one = stackalloc char[1];
        return Read(one) == 0 ? -1 : one[0];
    }

    /// <inheritdoc/>
    public override int Read(char[] buffer, int index, int count) => Read(buffer.AsSpan(index, count));

    /// <inheritdoc/>
    public override int Read(Span<char> buffer)
    {
        // A surrogate pair is counted at its first half; the second half follows even when the limit is reached.
        var part = buffer[..(int)Math.Min(buffer.Length, left + (insidePair ? 1 : 0))];
        if (part.IsEmpty) return 0;
        part = part[..text.Read(part)];
        left -= Count(part);
        if (!part.IsEmpty) insidePair = char.IsHighSurrogate(part[^1]);
        return part.Length;
    }

    /// <summary>The number of characters from here to the end of a text.</summary>
    public static long CountIn(TextReader text)
    {
        var (buffer, characters) = (new char[1 << 16], 0L);
        for (int read; (read = text.Read(buffer)) > 0;) characters += Count(buffer.AsSpan(0, read));
        return characters;
    }

    private static long Count(ReadOnlySpan<char> text)
    {
        var characters = 0L;
        foreach (var unit in text) characters += char.IsLowSurrogate(unit) ? 0 : 1;
        return characters;
    }
}
