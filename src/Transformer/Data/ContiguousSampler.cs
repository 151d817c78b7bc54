using Transformer.Configuration;

namespace Transformer.Data;

// B rows · K segments of a batch · T tokens of a segment

/// <summary>
/// Training batches in the order of the text: each row reads a part of its own, K segments a batch, and begins it anew when it has come to
/// its end. A batch says which segments begin a text, where what was remembered does not count.
/// </summary>
internal sealed class ContiguousSampler : TrainingBatches
{
    private readonly TextSegments segments;
    private readonly int rows, columns;
    private readonly long batchesPerEpoch;

    /// <param name="segments">The text.</param>
    /// <param name="rows">B.</param>
    /// <param name="columns">K.</param>
    /// <param name="position">The number of batches drawn before; 0 for a new run.</param>
    /// <exception cref="InputException">There are too few segments for one batch.</exception>
    public ContiguousSampler(TextSegments segments, int rows, int columns, long position = 0) : base(position)
    {
        (this.segments, this.rows, this.columns) = (segments, rows, columns);
        batchesPerEpoch = segments.Count / rows / columns;
        if (batchesPerEpoch == 0)
        {
            throw new InputException(
                $"data.sampling: contiguous gives each of {rows} rows a part of the text, but its {segments.Count} segments of " +
                $"{segments.Length} tokens are fewer than {(long)rows * columns}; lower training.batch_size, or use a longer text");
        }
    }

    /// <inheritdoc/>
    /// <exception cref="InputException">The token file is damaged.</exception>
    public override Batch At(long position)
    {
        var batch = position % batchesPerEpoch;
        return Batch.Read(segments, rows, columns, (row, column) =>
            ((segments.Count / rows * row) + (batch * columns) + column, Begins: batch == 0 && column == 0));
    }
}
