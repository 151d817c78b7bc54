using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text;

namespace Transformer.Distributed;

/// <summary>
/// Sends a heartbeat with the current operation to the next rank every second, and receives the one of the rank before. A process that was
/// killed, or stopped, or whose machine is gone is silent, and the rank after it ends the job.
/// </summary>
internal sealed unsafe class Heartbeat : IDisposable
{
    /// <summary>How long a rank may be silent.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(25);    // the job has ended after 30

    private const int Tag = 1, Length = 256;
    private const byte Last = 1;
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    private readonly MpiLibrary mpi;
    private readonly int before, after;
    private readonly byte* sent = (byte*)NativeMemory.AllocZeroed(Length), heard = (byte*)NativeMemory.AllocZeroed(Length);
    private readonly Stopwatch sinceSent = Stopwatch.StartNew(), sinceHeard = Stopwatch.StartNew(), sinceBeat = Stopwatch.StartNew();
    private nint sending, receiving;
    private bool isSending, isReceiving, isLast;

    public Heartbeat(MpiLibrary mpi, int rank, int ranks)
    {
        (this.mpi, before, after) = (mpi, (rank - 1 + ranks) % ranks, (rank + 1) % ranks);
        Expect();
    }

    /// <summary>Sends and receives what is due.</summary>
    /// <param name="operation">This rank's current operation.</param>
    /// <returns>What is wrong with the rank before, or null.</returns>
    public string? Beat(string operation)
    {
        if (sinceBeat.Elapsed > Patience) sinceHeard.Restart();    // this process itself was stopped, perhaps together with the others
        sinceBeat.Restart();
        if (isSending && mpi.IsDone(ref sending)) isSending = false;
        if (!isSending && !isLast && sinceSent.Elapsed > Interval) Send(operation);
        if (isReceiving && mpi.IsDone(ref receiving))
        {
            sinceHeard.Restart();
            isReceiving = false;
            if (heard[0] != Last) Expect();
        }
        return isReceiving && sinceHeard.Elapsed > Patience
            ? $"rank {before} has been silent for {Patience.TotalSeconds:f0} s; its last report: {Heard()}"
            : null;
    }

    /// <summary>Announces the end, and waits until the rank before has announced its own.</summary>
    public void Finish(Action wait)
    {
        while (isSending && !mpi.IsDone(ref sending)) wait();
        isLast = true;
        Send("");
        while (isReceiving) wait();
        while (isSending && !mpi.IsDone(ref sending)) wait();
    }

    private void Send(string operation)
    {
        var message = new Span<byte>(sent, Length);
        message.Clear();
        message[0] = isLast ? Last : (byte)0;
        Encoding.UTF8.TryGetBytes(operation, message[1..^1], out _);
        sending = mpi.Send(sent, Length, after, Tag);
        isSending = true;
        sinceSent.Restart();
    }

    private void Expect()
    {
        receiving = mpi.Receive(heard, Length, before, Tag);
        isReceiving = true;
    }

    private string Heard() => heard[1] == 0 ? "its start" : Marshal.PtrToStringUTF8((nint)(heard + 1))!;

    /// <inheritdoc/>
    public void Dispose()
    {
        NativeMemory.Free(sent);
        NativeMemory.Free(heard);
    }
}
