namespace Transformer.Data;

// T tokens of a segment

/// <summary>
/// A text cut into segments of T tokens, in order: what one begins where the one before it ends. Where documents are told apart by a
/// token, none reaches over an end: the next document begins a segment of its own, with that token as its first input.
/// </summary>
internal sealed class TextSegments
{
    private const int ScannedAtOnce = 1 << 16;

    private readonly TokenSequence tokens;
    private readonly List<(long Offset, int Length, bool Starts)>? cut;    // null where all are alike

    /// <param name="tokens">The text; the last segments that are shorter are left out where nothing tells documents apart.</param>
    /// <param name="length">T.</param>
    /// <param name="boundary">The token between two documents; null where there is none.</param>
    public TextSegments(TokenSequence tokens, int length, int? boundary)
    {
        (this.tokens, Length) = (tokens, length);
        Count = (tokens.Length - 1) / length;
        if (boundary is not { } mark) return;
        var ends = Places(mark).Append(tokens.Length - 1);
        cut = [];
        var begin = 0L;
        foreach (var end in ends)
        {
            for (var offset = begin; offset < end; offset += length)
                cut.Add((offset, (int)Math.Min(length, end - offset), offset == begin));
            begin = end;
        }
        Count = cut.Count;
    }

    /// <summary>How many segments there are.</summary>
    public long Count { get; }

    /// <summary>T.</summary>
    public int Length { get; }

    /// <summary>Copies a segment and what follows each of its tokens; places behind a shorter one are left as they are.</summary>
    /// <param name="segment">Which.</param>
    /// <param name="inputs">[T]</param>
    /// <param name="targets">[T]</param>
    /// <returns>Whether it begins a document.</returns>
    public bool Read(long segment, Span<long> inputs, Span<long> targets)
    {
        var (offset, count, starts) = cut?[(int)segment] ?? (segment * Length, Length, segment == 0);
        tokens.Read(offset, inputs[..count]);
        tokens.Read(offset + 1, targets[..count]);
        return starts;
    }

    // Where the mark stands, the first token excepted, which begins a document anyway.
    private IEnumerable<long> Places(int mark)
    {
        var piece = new long[ScannedAtOnce];
        for (var first = 0L; first < tokens.Length - 1; first += piece.Length)
        {
            var count = (int)Math.Min(piece.Length, tokens.Length - 1 - first);
            tokens.Read(first, piece.AsSpan(0, count));
            for (var i = 0; i < count; i++)
                if (piece[i] == mark && first + i > 0) yield return first + i;
        }
    }
}
