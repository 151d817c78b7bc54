namespace Transformer.Data;

/// <summary>Batches to measure a loss on: the same ones each time.</summary>
public static class ValidationBatches
{
    /// <summary>Consecutive windows over all tokens: each token but the first is predicted exactly once.</summary>
    /// <param name="tokens">What to measure on.</param>
    /// <param name="batchSize">B, the most windows of a batch; the last one has what is left.</param>
    /// <param name="contextLength">T; the last window may be padded with ignored targets.</param>
    public static IEnumerable<Batch> Full(TokenSequence tokens, int batchSize, int contextLength)
    {
        var windows = (tokens.Length - 1 + contextLength - 1) / contextLength;
        return At(tokens, batchSize, contextLength, windows, window => window * contextLength);
    }

    /// <summary>
    /// A quick estimate: a number of full batches whose windows are spread evenly over the tokens; the full pass where that has no more
    /// batches.
    /// </summary>
    /// <param name="tokens">What to measure on.</param>
    /// <param name="batchSize">B, the windows of a batch.</param>
    /// <param name="contextLength">T, the tokens of a window.</param>
    /// <param name="batches">How many batches.</param>
    public static IEnumerable<Batch> Estimate(TokenSequence tokens, int batchSize, int contextLength, int batches)
    {
        var windows = (long)batches * batchSize;
        var last = tokens.Length - 1 - contextLength;
        return windows * contextLength >= tokens.Length - 1
            ? Full(tokens, batchSize, contextLength)
            : At(tokens, batchSize, contextLength, windows, window => windows == 1 ? 0 : (long)((Int128)window * last / (windows - 1)));
    }

    /// <summary>
    /// The text as streams for a model that remembers: each row reads a part of it from beginning to end, a segment a batch.
    /// </summary>
    /// <param name="segments">What to measure on.</param>
    /// <param name="rows">B, the most streams; there are no more than segments.</param>
    /// <param name="batches">How many batches for a quick estimate; all of them where null, or where there are no more.</param>
    internal static IEnumerable<Batch> Streams(TextSegments segments, int rows, int? batches = null)
    {
        rows = (int)Math.Min(rows, segments.Count);
        var each = (segments.Count + rows - 1) / rows;
        for (var batch = 0L; batch < Math.Min(each, batches ?? each); batch++)
        {
            var whole = Batch.Read(segments, rows, 1, (row, _) => (Math.Min(row * each + batch, segments.Count - 1), batch == 0));
            // the last rows end before the others
            for (var row = 0; row < rows; row++)
            {
                if (row * each + batch >= segments.Count)
                    Array.Fill(whole.Targets, Batch.IgnoredTarget, row * whole.Columns, whole.Columns);
            }
            yield return whole;
        }
    }

    private static IEnumerable<Batch> At(TokenSequence tokens, int batchSize, int contextLength, long windows, Func<long, long> offset)
    {
        for (var first = 0L; first < windows; first += batchSize)
        {
            var offsets = new long[Math.Min(batchSize, windows - first)];
            for (var row = 0; row < offsets.Length; row++) offsets[row] = offset(first + row);
            yield return Batch.Read(tokens, offsets, contextLength);
        }
    }
}
