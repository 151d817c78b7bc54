using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;

namespace Transformer.Generation.Decoding;

/// <summary>
/// Threads that stay awake between two pieces of work. A token takes some sixty parallel steps of a few microseconds to a few hundred, so that waking a
/// thread for each would cost more than the work: the others watch a number that says which round it is. Left alone for a while they sleep.
/// </summary>
internal sealed class ThreadTeam : IDisposable
{
    // About a tenth of a millisecond of watching, then as much again that leaves the core to whoever else wants it, many times over.
    private const int Watching = 4_000, Yielding = 8_000;

    private readonly Thread[] others;
    private readonly Lock running = new();
    private readonly object bed = new();
    private Shared shared;
    private ITeamWork? work;
    private int pieces, asleep;
    private bool ends;
    private ExceptionDispatchInfo? failure;

    /// <param name="threads">How many threads work, the caller's included.</param>
    public ThreadTeam(int threads)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(threads, 1);
        others = new Thread[threads - 1];
        for (var i = 0; i < others.Length; i++)
        {
            var number = i + 1;
            others[i] = new Thread(() => Serve(number)) { IsBackground = true, Name = $"decoding {number}" };
            others[i].Start();
        }
    }

    /// <summary>How many threads work, the caller's included.</summary>
    public int Threads => others.Length + 1;

    /// <summary>Does all pieces, several at once, and returns when the last is done. Whoever is free takes the next one.</summary>
    /// <param name="work">What is done.</param>
    /// <param name="pieces">How many pieces it has.</param>
    public void Run(ITeamWork work, int pieces)
    {
        if (others.Length == 0 || pieces == 1)
        {
            for (var piece = 0; piece < pieces; piece++) work.Do(piece, 0);
            return;
        }
        lock (running)
        {
            (this.work, this.pieces, shared.Next, shared.Busy) = (work, pieces, 0, others.Length);
            Begin();
            Take(0);
            for (var spins = 0; Volatile.Read(ref shared.Busy) > 0; spins++) Pause(spins);
            this.work = null;
            if (failure is null) return;
            var thrown = failure;
            failure = null;
            thrown.Throw();
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        ends = true;
        Begin();
        foreach (var other in others) other.Join();
    }

    private void Begin()
    {
        Interlocked.Increment(ref shared.Round);
        if (Volatile.Read(ref asleep) == 0) return;
        lock (bed) Monitor.PulseAll(bed);
    }

    private void Serve(int number)
    {
        for (var seen = 0; ; seen++)
        {
            Await(seen);
            if (ends) return;
            Take(number);
            Interlocked.Decrement(ref shared.Busy);
        }
    }

    private void Await(int seen)
    {
        for (var spins = 0; Volatile.Read(ref shared.Round) == seen; spins++)
        {
            if (spins < Watching + Yielding)
            {
                Pause(spins);
                continue;
            }
            lock (bed)
            {
                Interlocked.Increment(ref asleep);
                while (Volatile.Read(ref shared.Round) == seen) Monitor.Wait(bed);
                Interlocked.Decrement(ref asleep);
            }
        }
    }

    private static void Pause(int spins)
    {
        if (spins < Watching) Thread.SpinWait(1);
        else Thread.Yield();
    }

    private void Take(int thread)
    {
        try
        {
            for (int piece; (piece = Interlocked.Increment(ref shared.Next) - 1) < pieces;) work!.Do(piece, thread);
        }
        catch (Exception e)
        {
            failure = ExceptionDispatchInfo.Capture(e);
        }
    }

    // What several threads write, each on cache lines of its own.
    [StructLayout(LayoutKind.Explicit, Size = 512)]
    private struct Shared
    {
        [FieldOffset(128)] public int Round;
        [FieldOffset(256)] public int Next;
        [FieldOffset(384)] public int Busy;
    }
}
