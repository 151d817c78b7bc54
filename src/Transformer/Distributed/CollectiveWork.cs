namespace Transformer.Distributed;

/// <summary>
/// An operation of all ranks that goes on beside whoever began it. Its buffer is left alone, and kept, until it was waited for.
/// </summary>
public sealed class CollectiveWork
{
    private Action? wait;

    /// <summary>One that is done when a task is.</summary>
    /// <param name="done">Ends, or fails, with the operation.</param>
    public CollectiveWork(Task done) => Done = done;

    /// <summary>One that a device carries out in its own time.</summary>
    /// <param name="wait">Makes the device's work that comes next follow it, without keeping this thread.</param>
    public CollectiveWork(Action wait) => (Done, this.wait) = (Task.CompletedTask, wait);

    /// <summary>
    /// Ends when the operation is done or, on a device, when it was handed over; for who measures. To go on with the buffer takes
    /// <see cref="Wait"/>.
    /// </summary>
    public Task Done { get; }

    /// <summary>
    /// From here on the buffer holds the result for whatever is computed with it. This thread waits only where it is this thread that
    /// computes.
    /// </summary>
    /// <exception cref="InvalidOperationException">The operation failed.</exception>
    public void Wait()
    {
        Done.GetAwaiter().GetResult();
        Interlocked.Exchange(ref wait, null)?.Invoke();
    }
}
