using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;

namespace Transformer.Inference.Cpu;

/// <summary>
/// Threads that stay awake between two parallel steps. A token takes some sixty steps of a few microseconds to a few hundred, so that
/// waking a thread for each would cost more than the work: idle threads poll a ticket, and sleep after a while without work. No step waits
/// for a thread that is not running: where the processor is busy with something else, the threads that run do all of the work.
/// </summary>
internal sealed class ThreadTeam : IDisposable
{
    // About a tenth of a millisecond of polling, then a while of yielding the core to other threads.
    private const int Watching = 4_000, Yielding = 8_000;
    private const int Closed = int.MaxValue;

    private readonly Thread[] others;
    private readonly Lock running = new();
    private readonly object bed = new();
    private Shared shared;
    private IParallelKernel? work;
    private int pieces, round, asleep;
    private bool ends;
    private ExceptionDispatchInfo? failure;

    /// <param name="threads">The number of threads, the caller's included.</param>
    public ThreadTeam(int threads)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(threads, 1);
        shared.Ticket = Closed;
        others = new Thread[threads - 1];
        for (var i = 0; i < others.Length; i++)
        {
            var number = i + 1;
            others[i] = new Thread(() => Serve(number)) { IsBackground = true, Name = $"decoding {number}" };
            others[i].Start();
        }
    }

    /// <summary>The number of threads, the caller's included.</summary>
    public int Threads => others.Length + 1;

    /// <summary>Does all pieces, several at once, and returns when the last is done. Each free thread takes the next one.</summary>
    /// <param name="work">The work.</param>
    /// <param name="pieces">How many pieces it has.</param>
    public void Run(IParallelKernel work, int pieces)
    {
        if (others.Length == 0 || pieces == 1)
        {
            for (var piece = 0; piece < pieces; piece++) work.Do(piece, 0);
            return;
        }
        lock (running)
        {
            Open(work, pieces);
            Take(0);
            for (var spins = 0; Volatile.Read(ref shared.Done) < pieces; spins++) Pause(spins);
            if (failure is null) return;
            var thrown = failure;
            failure = null;
            thrown.Throw();
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Volatile.Write(ref ends, true);
        Open(null, 0);
        foreach (var other in others) other.Join();
    }

    // A ticket holds the numbers of the round and of the next piece. It is closed while the work is being
    // changed, and then belongs to no earlier round.
    private void Open(IParallelKernel? work, int pieces)
    {
        round++;
        Interlocked.Exchange(ref shared.Ticket, Ticket(round, Closed));
        (this.work, this.pieces, shared.Done) = (work, pieces, 0);
        Interlocked.Exchange(ref shared.Ticket, Ticket(round, 0));
        if (Volatile.Read(ref asleep) == 0) return;
        lock (bed) Monitor.PulseAll(bed);
    }

    private void Serve(int number)
    {
        for (var seen = 0; ;)
        {
            seen = Await(seen);
            if (Volatile.Read(ref ends)) return;
            Take(number);
        }
    }

    // The next round that is open.
    private int Await(int seen)
    {
        for (var spins = 0; !IsOpen(seen); spins++)
        {
            if (spins < Watching + Yielding)
            {
                Pause(spins);
                continue;
            }
            lock (bed)
            {
                Interlocked.Increment(ref asleep);
                while (!IsOpen(seen)) Monitor.Wait(bed);
                Interlocked.Decrement(ref asleep);
            }
        }
        return RoundOf(Volatile.Read(ref shared.Ticket));
    }

    private bool IsOpen(int seen) => Volatile.Read(ref shared.Ticket) is var ticket && RoundOf(ticket) != seen && PieceOf(ticket) != Closed;

    private static void Pause(int spins)
    {
        if (spins < Watching) Thread.SpinWait(1);
        else Thread.Yield();
    }

    // What is read between reading and exchanging the ticket belongs to its round, since the exchange fails where the round has changed.
    private void Take(int thread)
    {
        var done = 0;
        var ticket = Volatile.Read(ref shared.Ticket);
        while (true)
        {
            var (work, pieces) = (this.work, this.pieces);
            if (PieceOf(ticket) >= pieces) break;
            var found = Interlocked.CompareExchange(ref shared.Ticket, ticket + 1, ticket);
            if (found == ticket)
            {
                Do(work!, PieceOf(ticket), thread);
                done++;
                found = Volatile.Read(ref shared.Ticket);
            }
            ticket = found;
        }
        if (done > 0) Interlocked.Add(ref shared.Done, done);
    }

    private void Do(IParallelKernel work, int piece, int thread)
    {
        try
        {
            work.Do(piece, thread);
        }
        catch (Exception e)
        {
            failure = ExceptionDispatchInfo.Capture(e);
        }
    }

    private static long Ticket(int round, int piece) => ((long)round << 32) | (uint)piece;

    private static int RoundOf(long ticket) => (int)(ticket >> 32);

    private static int PieceOf(long ticket) => (int)ticket;

    // Fields that several threads write, each on cache lines of its own.
    [StructLayout(LayoutKind.Explicit, Size = 384)]
    private struct Shared
    {
        [FieldOffset(128)] public long Ticket;
        [FieldOffset(256)] public int Done;
    }
}
