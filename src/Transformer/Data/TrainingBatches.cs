namespace Transformer.Data;

/// <summary>
/// Training batches one after the other. The batch at a position is a function of the position alone, so a run that resumes at
/// <see cref="Position"/> sees the batches that an uninterrupted one would have seen. The next batch is prefetched in the background.
/// </summary>
public abstract class TrainingBatches : IDisposable
{
    private Task<Batch>? prefetched;

    /// <param name="position">The number of batches drawn before; 0 for a new run.</param>
    private protected TrainingBatches(long position)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(position);
        Position = position;
    }

    /// <summary>The number of batches drawn: the cursor to save and to resume from.</summary>
    public long Position { get; private set; }

    /// <summary>The next batch.</summary>
    /// <exception cref="Configuration.InputException">A token file is damaged.</exception>
    public Batch Next()
    {
        var batch = prefetched is null ? At(Position) : prefetched.GetAwaiter().GetResult();
        var next = ++Position;
        prefetched = Task.Run(() => At(next));
        return batch;
    }

    /// <summary>The batch at a position, without moving there.</summary>
    public abstract Batch At(long position);

    /// <inheritdoc/>
    public void Dispose()
    {
        Dispose(disposing: true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Waits for the batch that is being prefetched.</summary>
    protected virtual void Dispose(bool disposing)
    {
        // A failed read is ignored: its batch is no longer needed.
        if (disposing) prefetched?.ContinueWith(_ => { }, TaskScheduler.Default).Wait();
        prefetched = null;
    }
}
