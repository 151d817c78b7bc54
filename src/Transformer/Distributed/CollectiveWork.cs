namespace Transformer.Distributed;

/// <summary>
/// A collective operation that runs asynchronously. Its buffer must be kept, and not be touched, until <see cref="Wait"/> has returned.
/// </summary>
public sealed class CollectiveWork
{
    private Action? wait;

    /// <summary>An operation that is done when a task is.</summary>
    /// <param name="done">Ends, or fails, with the operation.</param>
    public CollectiveWork(Task done) => Done = done;

    /// <summary>An operation that is queued on a device.</summary>
    /// <param name="wait">Orders the device's later work after it, without blocking this thread.</param>
    public CollectiveWork(Action wait) => (Done, this.wait) = (Task.CompletedTask, wait);

    /// <summary>
    /// Completes when the operation is done or, on a device, queued; for profiling. Call <see cref="Wait"/> before using the buffer.
    /// </summary>
    public Task Done { get; }

    /// <summary>
    /// Whatever is computed with the buffer after this call sees the result. Blocks this thread only where the CPU computes.
    /// </summary>
    /// <exception cref="InvalidOperationException">The operation failed.</exception>
    public void Wait()
    {
        Done.GetAwaiter().GetResult();
        Interlocked.Exchange(ref wait, null)?.Invoke();
    }
}
